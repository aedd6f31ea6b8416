using NativeEngine.Formats;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Formats;

public class AtomicFolderTests
{
    [Fact]
    public void Delete_CannotBe_NamesTheFolder()
    {
        using var folder = new TemporaryFolder();
        string missing = folder.File("missing");
        Expect.Fails(ErrorKind.Usage, () => AtomicFolder.Delete(missing), missing);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    private static void Fill(string path)
    {
        Directory.CreateDirectory(Path.Combine(path, "inner"));
        File.WriteAllText(Path.Combine(path, "a.txt"), "hello");
        File.WriteAllBytes(Path.Combine(path, "inner", "b.bin"), new byte[100_000]);
    }

    [Fact]
    public void Publish_NewFolder_IsCompleteAndVerifies()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("checkpoint-000100");
        AtomicFolder.Publish(path, Fill);
        Assert.Equal(["checkpoint-000100"], folder.Names());
        Assert.Null(AtomicFolder.Verify(path));
        string json = File.ReadAllText(Path.Combine(path, AtomicFolder.ChecksumsName));
        Assert.Contains("\"inner/b.bin\"", json, StringComparison.Ordinal);
        Assert.Contains("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", json, StringComparison.Ordinal);
    }

    [Fact]
    public void Publish_CallbackThrows_NothingRemains()
    {
        using var folder = new TemporaryFolder();
        Assert.Throws<InvalidOperationException>(() => AtomicFolder.Publish(folder.File("c"), path =>
        {
            Fill(path);
            Assert.True(TemporaryName.IsTemporary(Path.GetFileName(path)));
            throw new InvalidOperationException();
        }));
        Assert.Empty(folder.Names());
    }

    [Fact]
    public void Publish_Cancelled_NothingRemains()
    {
        using var folder = new TemporaryFolder();
        using var source = new CancellationTokenSource();
        source.Cancel();
        Assert.Throws<OperationCanceledException>(() => AtomicFolder.Publish(folder.File("c"), Fill, cancellation: source.Token));
        Assert.Empty(folder.Names());
    }

    [Fact]
    public void Publish_ExistingFolder_RefusedUnlessReplaced()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("c");
        AtomicFolder.Publish(path, Fill);
        Expect.Fails(ErrorKind.Usage, () => AtomicFolder.Publish(path, Fill), "it is there already");
        AtomicFolder.Publish(path, p => File.WriteAllText(Path.Combine(p, "new"), ""), replace: true);
        Assert.Equal(["c"], folder.Names());
        Assert.Equal([AtomicFolder.ChecksumsName, "new"], Directory.GetFiles(path).Select(f => Path.GetFileName(f)!).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Verify_EveryKindOfDamage_IsNamed()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("c"), file = Path.Combine(path, "inner", "b.bin"), sums = Path.Combine(path, AtomicFolder.ChecksumsName);
        AtomicFolder.Publish(path, Fill);
        byte[] good = File.ReadAllBytes(file);

        File.WriteAllBytes(file, good[..^1]);
        Assert.Contains("inner/b.bin has 99999 bytes instead of 100000", AtomicFolder.Verify(path)!, StringComparison.Ordinal);
        byte[] flipped = [.. good];
        flipped[77_777] ^= 1;
        File.WriteAllBytes(file, flipped);
        Assert.Contains("inner/b.bin does not match its checksum", AtomicFolder.Verify(path)!, StringComparison.Ordinal);
        File.Delete(file);
        Assert.Contains("inner/b.bin is missing", AtomicFolder.Verify(path)!, StringComparison.Ordinal);
        File.WriteAllBytes(file, good);
        Assert.Null(AtomicFolder.Verify(path));

        File.WriteAllText(sums, File.ReadAllText(sums)[..50]);
        Assert.Contains("not valid JSON", AtomicFolder.Verify(path)!, StringComparison.Ordinal);
        File.WriteAllText(sums, """{"schema":1,"files":{"../x":{"bytes":0,"sha256":""}}}""");
        Assert.Contains("outside the folder", AtomicFolder.Verify(path)!, StringComparison.Ordinal);
        File.Delete(sums);
        Assert.Contains("no such file", AtomicFolder.Verify(path)!, StringComparison.Ordinal);
        Assert.NotNull(AtomicFolder.Verify(folder.File("nowhere")));
    }
}
