namespace NativeEngine.Devices;

public static partial class KernelTable
{
    private static IEnumerable<KernelRow> AttentionRows()
    {
        foreach (bool cached in new[] { false, true })
        {
            yield return new KernelRow(
                cached ? "attention_cached" : "attention",
                "output = softmax(Q K^T / sqrt(h), causal) V by sequence and head",
                [
                    Queries("q", ArgumentRole.In), Keys("k", ArgumentRole.In), Keys("v", ArgumentRole.In),
                    SequenceOffsets("query_offsets", QueryLengths), SequenceOffsets("key_offsets", KeyLengths),
                    Queries("output", ArgumentRole.Out), LogSumExp(ArgumentRole.Out),
                ],
                (k, c) => k.Attention(
                    c.F("q"), c.F("k"), c.F("v"), c.I("query_offsets"), c.I("key_offsets"), (int)c.Size["heads"], (int)c.Size["kv_heads"],
                    c.F("output"), c.F("logsumexp")))
            {
                BenchmarkSizes = cached ? [Packed(1, 1, 6, 6, 64, 1024)] : [Packed(4, 256, 6, 6, 64), Packed(64, 64, 4, 4, 24), Packed(1, 2048, 16, 4, 128)],
                TestSizes = cached
                    ? [Packed(1, 1, 1, 1, 2, 1), Packed(4, 1, 2, 1, 8, 32, 1), Packed(2, 5, 4, 2, 24, 100), Packed(1, 50, 2, 2, 64, 1000)]
                    :
                    [
                        Packed(1, 1, 1, 1, 1), Packed(1, 2, 1, 1, 8), Packed(4, 33, 2, 1, 8, uneven: 1), Packed(2, 31, 4, 2, 24), Packed(3, 48, 2, 2, 80),
                        Packed(1, 443, 2, 1, 64), Packed(6, 100, 3, 3, 16, uneven: 1), Packed(1, 49, 1, 1, 128), Packed(1, 50, 2, 1, 260), Packed(1, 1025, 1, 1, 4),
                    ],
                Flops = s => 4.0 * s["heads"] * s["h"] * Pairs(s),
                Bytes = s => 8.0 * s["h"] * ((s["heads"] * QueryLengths(s).Sum(l => (long)l)) + (s["kv_heads"] * KeyLengths(s).Sum(l => (long)l))),
            };
        }

        foreach (bool valuesOnly in new[] { false, true })
        {
            KernelArgument[] all =
            [
                Queries("doutput", ArgumentRole.In), Queries("q", ArgumentRole.In), Keys("k", ArgumentRole.In), Keys("v", ArgumentRole.In),
                Queries("output", ArgumentRole.In), LogSumExp(ArgumentRole.In), SequenceOffsets("offsets", QueryLengths),
                Keys("dv", ArgumentRole.Out), Queries("dq", ArgumentRole.Out), Keys("dk", ArgumentRole.Out),
            ];
            yield return new KernelRow(
                valuesOnly ? "attention_backward_dv" : "attention_backward",
                valuesOnly ? "dV = P^T dO" : "dV = P^T dO, dS = P (dO V^T - rowsum(dO O)), dQ = dS K / sqrt(h), dK = dS^T Q / sqrt(h)",
                valuesOnly ? all[..^2] : all,
                (k, c) => k.AttentionBackward(
                    c.F("doutput"), c.F("q"), c.F("k"), c.F("v"), c.F("output"), c.F("logsumexp"), c.I("offsets"), (int)c.Size["heads"],
                    (int)c.Size["kv_heads"], valuesOnly ? default : c.F("dq"), valuesOnly ? default : c.F("dk"), c.F("dv")))
            {
                BenchmarkSizes = [Packed(4, 256, 6, 6, 64), Packed(64, 64, 4, 4, 24), Packed(1, 2048, 16, 4, 128)],
                TestSizes =
                [
                    Packed(1, 1, 1, 1, 1), Packed(1, 2, 1, 1, 8), Packed(4, 33, 2, 1, 8, uneven: 1), Packed(2, 31, 4, 2, 24), Packed(3, 48, 2, 2, 80),
                    Packed(1, 443, 2, 1, 64), Packed(6, 100, 3, 3, 16, uneven: 1), Packed(1, 49, 1, 1, 128), Packed(1, 50, 2, 1, 260),
                ],
                Flops = s => (valuesOnly ? 4.0 : 10.0) * s["heads"] * s["h"] * Pairs(s),
                Bytes = s => (valuesOnly ? 8.0 : 16.0) * (s["heads"] + s["kv_heads"]) * s["h"] * QueryLengths(s).Sum(l => (long)l),
            };
        }

        static KernelSize Packed(long sequences, long length, long heads, long kvHeads, long h, long cached = 0, long uneven = 0) => new(
            ("sequences", sequences), ("length", length), ("heads", heads), ("kv_heads", kvHeads), ("h", h), ("cached", cached), ("uneven", uneven));

        static KernelArgument Queries(string name, ArgumentRole role) =>
            Gaussian(name, role, s => new Shape(QueryLengths(s).Sum(l => (long)l), s["heads"] * s["h"]));

        static KernelArgument Keys(string name, ArgumentRole role) =>
            Gaussian(name, role, s => new Shape(KeyLengths(s).Sum(l => (long)l), s["kv_heads"] * s["h"]));

        static KernelArgument LogSumExp(ArgumentRole role) =>
            Uniform("logsumexp", role, s => new Shape(QueryLengths(s).Sum(l => (long)l), s["heads"]), 3, 5);

        // Pairs of a query and a key it sees, of one head.
        static double Pairs(KernelSize s) => QueryLengths(s).Zip(KeyLengths(s)).Sum(l => l.First * (l.Second - ((l.First - 1) / 2.0)));
    }

    /// <summary>Queries of each sequence: all of one length, or uneven with an empty and a single one among them.</summary>
    private static int[] QueryLengths(KernelSize size)
    {
        int length = (int)size["length"];
        int[] uneven = [length, 0, (length / 2) + 1, 1];
        return [.. Enumerable.Range(0, (int)size["sequences"]).Select(s => size["uneven"] == 0 ? length : uneven[s % 4])];
    }

    private static int[] KeyLengths(KernelSize size) => [.. QueryLengths(size).Select(l => l + (int)size["cached"])];

    private static KernelArgument SequenceOffsets(string name, Func<KernelSize, int[]> lengths) =>
        new(name, ArgumentRole.In, size => new Shape(size["sequences"] + 1))
        {
            Ints = (size, _) =>
            {
                var each = lengths(size);
                var offsets = new int[each.Length + 1];
                for (int s = 0; s < each.Length; s++)
                {
                    offsets[s + 1] = offsets[s] + each[s];
                }
                return offsets;
            },
        };
}
