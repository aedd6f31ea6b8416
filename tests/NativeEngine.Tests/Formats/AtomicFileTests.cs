using NativeEngine.Formats;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Formats;

public class AtomicFileTests
{
    [Fact]
    public void Write_NewAndExisting_ReplacesWholeAndLeavesNoTemporary()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("naïve name.json");
        AtomicFile.WriteAllText(path, "a longer first text");
        AtomicFile.WriteAllText(path, "ü");
        Assert.Equal([0xC3, 0xBC], File.ReadAllBytes(path));
        Assert.Single(folder.Names());
    }

    [Fact]
    public void Write_CallbackThrows_OldFileIntactAndTemporaryGone()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Put("f", [1, 2, 3]);
        var thrown = Assert.Throws<InvalidOperationException>(() => AtomicFile.Write(path, stream =>
        {
            stream.Write(new byte[200_000]);
            Assert.Equal(2, folder.Names().Length);
            Assert.Contains(folder.Names(), TemporaryName.IsTemporary);
            throw new InvalidOperationException("mine");
        }));
        Assert.Equal("mine", thrown.Message);
        Assert.Equal([1, 2, 3], File.ReadAllBytes(path));
        Assert.Equal(["f"], folder.Names());
    }

    [Fact]
    public void Write_ReadersDuringTheWrite_SeeTheOldFile()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Put("f", [1]);
        AtomicFile.Write(path, stream =>
        {
            stream.Write([2, 2]);
            stream.Flush();
            Assert.Equal([1], File.ReadAllBytes(path));
        });
        Assert.Equal([2, 2], File.ReadAllBytes(path));
    }

    [Fact]
    public void Write_NestedOnTheSamePath_TakesAnotherTemporary()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("f");
        AtomicFile.Write(path, outer =>
        {
            AtomicFile.WriteAllText(path, "inner");
            outer.Write("outer"u8);
        });
        Assert.Equal("outer", File.ReadAllText(path));
        Assert.Equal(["f"], folder.Names());
    }

    [Fact]
    public void Write_PathsThatCannotBeWritten_AreUsageSentences()
    {
        using var folder = new TemporaryFolder();
        Expect.Fails(ErrorKind.Usage, () => AtomicFile.WriteAllText(folder.File("no/such/folder/f"), ""), "cannot write", "no/such/folder");
        Expect.Fails(ErrorKind.Usage, () => AtomicFile.WriteAllText(folder.Path, ""), "it is a folder");
        Assert.Empty(folder.Names());
    }

    [Fact]
    public void Write_MoreThanTheDiskHolds_RefusedBeforeTheCallback()
    {
        using var folder = new TemporaryFolder();
        bool called = false;
        Expect.Fails(ErrorKind.WillNotFit, () => AtomicFile.Write(folder.File("f"), _ => called = true, long.MaxValue), "bytes", "free");
        Assert.False(called);
        Assert.Empty(folder.Names());
    }

    [Fact]
    public void Write_ThroughASymbolicLink_ReplacesWhatItPointsTo()
    {
        using var folder = new TemporaryFolder();
        string real = folder.Put("real", [1]);
        File.CreateSymbolicLink(folder.File("link"), real);
        AtomicFile.WriteAllText(folder.File("link"), "x");
        Assert.Equal("x", File.ReadAllText(real));
        Assert.NotNull(new FileInfo(folder.File("link")).LinkTarget);
    }

    [FactWithFullDevice]
    public void Write_FullDevice_WillNotFitAndTheDeviceStays()
    {
        Expect.Fails(ErrorKind.WillNotFit, () => AtomicFile.WriteAllBytes("/dev/full", new byte[10]), "/dev/full", "the disk is full and does not hold its first 10 bytes");
        Assert.True(File.Exists("/dev/full"));
        Assert.DoesNotContain(Directory.GetFileSystemEntries("/dev"), p => TemporaryName.IsTemporary(Path.GetFileName(p)));
    }

    [Fact]
    public void DeleteLeftovers_DeadProcess_DeletedAndTheLivingKept()
    {
        using var folder = new TemporaryFolder();
        folder.Put($".tmp-model.safetensors-{int.MaxValue}-0", [1]);
        Directory.CreateDirectory(folder.File($".tmp-checkpoint-000100-{int.MaxValue}-0/inner"));
        folder.Put($".tmp-f-{Environment.ProcessId}-0", [1]);
        folder.Put(".tmp-mine", [1]);
        folder.Put("kept", [1]);
        Assert.Equal(2, TemporaryName.DeleteLeftovers(folder.Path));
        Assert.Equal([$".tmp-f-{Environment.ProcessId}-0", ".tmp-mine", "kept"], folder.Names());
        File.SetLastWriteTimeUtc(folder.File($".tmp-f-{Environment.ProcessId}-0"), DateTime.UtcNow.AddDays(-400));
        Assert.Equal(1, TemporaryName.DeleteLeftovers(folder.Path));
        Assert.Equal(0, TemporaryName.DeleteLeftovers(folder.File("no such folder")));
    }

    [FactOnUnix]
    public void Write_SharedMemory_IsAFolderLikeAnyOther()
    {
        if (!Directory.Exists("/dev/shm"))
        {
            return;
        }
        string path = $"/dev/shm/nengine-test-{Guid.NewGuid():N}";
        try
        {
            AtomicFile.WriteAllText(path, "first");
            AtomicFile.WriteAllText(path, "second");
            Assert.Equal("second", File.ReadAllText(path));
        }
        finally
        {
            File.Delete(path);
        }
    }
}
