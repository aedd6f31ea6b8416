using System.Globalization;
using System.Text;
using NativeEngine.Native;
using NativeEngine.Selection;

namespace NativeEngine.Cli;

/// <summary>The files of which every rank has its own.</summary>
internal static class RankShard
{
    private const string Mark = "{rank}";

    /// <summary>The name of a rank's file. Errors: Usage for a name without {rank}, which would be the same file for all.</summary>
    public static string Name(string name, string option, int rank) => name.Contains(Mark, StringComparison.Ordinal)
        ? name.Replace(Mark, rank.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
        : throw new EngineException(ErrorKind.Usage, $"{option} is {name}, the same file for every rank", $"put {Mark} where the rank's number stands, or give --ranks one");

    /// <summary>The only rank's file.</summary>
    public static string Alone(string name) => name.Replace(Mark, "0", StringComparison.Ordinal);

    /// <summary>
    /// The sources of all examples, in the order of the ranks. Errors: BadInput when the ranks' features differ in width.
    /// </summary>
    public static SourceFile Gather(RankGroup ranks, SourceFile own, FeatureFile features)
    {
        int[] columns = ranks.GatherOne(features.Columns);
        if (columns.FirstOrDefault(c => c != columns[0]) is > 0 and var other)
        {
            throw new EngineException(ErrorKind.BadInput, $"the features of the ranks have {columns[0]} and {other} columns", "make all of them with the same model and the same options of nengine features");
        }
        using var mine = new MemoryStream();
        using (var writer = new BinaryWriter(mine, Encoding.UTF8, leaveOpen: true))
        {
            foreach (int id in own.Ids)
            {
                writer.Write(own.Names[id]);
            }
        }
        int[] counts = ranks.GatherOne(own.Ids.Length), lengths = ranks.GatherOne(checked((int)mine.Length));
        var all = new byte[lengths.Sum()];
        ranks.Gather(mine.ToArray(), lengths, all);
        using var reader = new BinaryReader(new MemoryStream(all), Encoding.UTF8);
        var names = new string[counts.Sum()];
        for (int i = 0; i < names.Length; i++)
        {
            names[i] = reader.ReadString();
        }
        return SourceFile.Of(names);
    }
}
