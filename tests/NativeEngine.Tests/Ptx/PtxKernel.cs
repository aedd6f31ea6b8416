using System.Globalization;
using System.Text.RegularExpressions;

namespace NativeEngine.Tests.Ptx;

/// <summary>One .entry of a PTX text, decoded: instructions, the layout of a warp's registers, parameters, shared memory.</summary>
internal sealed partial class PtxKernel
{
    private const int Predicate = 1, Narrow = 4, Wide = 8;

    private readonly Dictionary<string, int> _registers = [];
    private readonly Dictionary<(long Bits, int Width), int> _constants = [];
    private readonly Dictionary<string, long> _shared = [];

    private PtxKernel(string name) => Name = name;

    public string Name { get; }

    public PtxInstruction[] Code { get; private set; } = [];

    /// <summary>The text of each instruction, for messages.</summary>
    public string[] Text { get; private set; } = [];

    /// <summary>Bytes of a warp's register file.</summary>
    public int RegisterBytes { get; private set; }

    public int SharedBytes { get; private set; }

    /// <summary>Parameters in order: type and the register that holds the value.</summary>
    public List<(string Type, int Register)> Parameters { get; } = [];

    /// <summary>Values every lane of a register starts with.</summary>
    public List<(int Register, int Width, long Bits)> Constants { get; } = [];

    /// <summary>Registers of %tid.x, %ctaid.x/y/z and %nctaid.x/y/z.</summary>
    public int[] Special { get; } = [-1, -1, -1, -1, -1, -1, -1];

    private readonly Dictionary<string, int> _parameters = [];

    /// <summary>All kernels of a text.</summary>
    public static Dictionary<string, PtxKernel> Parse(string ptx)
    {
        var kernels = new Dictionary<string, PtxKernel>();
        PtxKernel? kernel = null;
        bool body = false;
        List<string> lines = [];
        foreach (string raw in ptx.Split('\n'))
        {
            int comment = raw.IndexOf("//", StringComparison.Ordinal);
            string line = (comment >= 0 ? raw[..comment] : raw).Trim();
            if (line.Length == 0)
            {
                continue;
            }
            if (line.StartsWith(".visible .entry ", StringComparison.Ordinal))
            {
                kernel = new PtxKernel(line[".visible .entry ".Length..].TrimEnd('(', ')'));
                lines = [];
            }
            else if (kernel is not null && !body && line.StartsWith(".param ", StringComparison.Ordinal))
            {
                var words = line.TrimEnd(',', ')').Split(' ', StringSplitOptions.RemoveEmptyEntries);
                string type = words[1][1..];
                int register = kernel.Allocate(WidthOf(type));
                kernel._parameters[words[^1]] = register;
                kernel.Parameters.Add((type, register));
            }
            else if (kernel is not null && line == "{")
            {
                body = true;
            }
            else if (kernel is not null && body && line == "}")
            {
                kernel.Decode(lines);
                kernels.Add(kernel.Name, kernel);
                (kernel, body) = (null, false);
            }
            else if (body)
            {
                lines.Add(line);
            }
        }
        return kernels;
    }

    private void Decode(List<string> lines)
    {
        var labels = new Dictionary<string, int>();
        var statements = new List<string>();
        foreach (string line in lines)
        {
            if (line.StartsWith(".shared ", StringComparison.Ordinal))
            {
                var match = SharedArray().Match(line);
                int alignment = int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture), size = int.Parse(match.Groups[3].Value, CultureInfo.InvariantCulture);
                // Sixteen bytes between arrays, so that running over one's end is not a read of the next.
                SharedBytes = (SharedBytes + 16 + alignment - 1) / alignment * alignment;
                _shared[match.Groups[2].Value] = SharedBytes;
                SharedBytes += size;
            }
            else if (line.EndsWith(':'))
            {
                labels[line[..^1]] = statements.Count;
            }
            else if (line[0] == '{' && line.EndsWith('}'))
            {
                // { .reg .b32 tmp; mov.b64 {tmp, %r8}, %rd6; }
                statements.AddRange(line[1..^1].Split(';').Select(s => s.Trim()).Where(s => s.Length > 0 && !s.StartsWith('.')));
            }
            else if (line[0] != '.')
            {
                statements.Add(line.TrimEnd(';'));
            }
        }
        Text = [.. statements];
        Code = new PtxInstruction[statements.Count];
        for (int i = 0; i < Code.Length; i++)
        {
            try
            {
                Code[i] = Decode(statements[i], labels);
            }
            catch (Exception error) when (error is NotSupportedException or KeyNotFoundException or FormatException or IndexOutOfRangeException)
            {
                throw new NotSupportedException($"{Name}: \"{statements[i]}\": {error.Message}", error);
            }
        }
        RegisterBytes = (RegisterBytes + 4095) / 4096 * 4096;
    }

    private PtxInstruction Decode(string statement, Dictionary<string, int> labels)
    {
        var i = new PtxInstruction { Predicate = -1, D = -1, A = -1, B = -1, C = -1, E = -1, F = -1, G = -1, H = -1 };
        if (statement[0] == '@')
        {
            int end = statement.IndexOfAny([' ', '\t']);
            i.Negated = statement[1] == '!';
            i.Predicate = Register(statement[(i.Negated ? 2 : 1)..end]);
            statement = statement[end..].Trim();
        }
        int space = statement.IndexOfAny([' ', '\t']);
        string opcode = space < 0 ? statement : statement[..space];
        string[] operands = space < 0 ? [] : [.. Operand().Matches(statement[space..]).Select(m => m.Value)];
        if (opcode is "bra" or "bra.uni")
        {
            i.Kind = PtxKind.Branch;
            i.Target = labels[operands[0]];
        }
        else if (opcode is "ret" or "exit")
        {
            i.Kind = PtxKind.Exit;
        }
        else if (opcode is "bar.sync" or "barrier.sync")
        {
            i.Kind = PtxKind.Barrier;
        }
        else
        {
            new PtxDecoder(this).Decode(ref i, opcode.Split('.'), operands);
        }
        return i;
    }

    public static int WidthOf(string type) => type switch
    {
        "pred" => Predicate,
        "u64" or "s64" or "b64" or "f64" => Wide,
        _ => Narrow,
    };

    /// <summary>The register of an operand: a register, a special one, a literal, or the address of a shared array.</summary>
    public int Read(string operand, string type)
    {
        if (operand[0] == '%')
        {
            int special = operand switch
            {
                "%tid.x" => 0,
                "%ctaid.x" => 1,
                "%ctaid.y" => 2,
                "%ctaid.z" => 3,
                "%nctaid.x" => 4,
                "%nctaid.y" => 5,
                "%nctaid.z" => 6,
                _ => -1,
            };
            if (special < 0)
            {
                return Register(operand);
            }
            if (Special[special] < 0)
            {
                Special[special] = Allocate(Narrow);
            }
            return Special[special];
        }
        int width = WidthOf(type);
        long bits = operand switch
        {
            ['0', 'f', ..] => uint.Parse(operand.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture),
            ['0', 'd', ..] => (long)ulong.Parse(operand.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture),
            ['0', 'x', ..] => (long)ulong.Parse(operand.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture),
            _ when char.IsDigit(operand[0]) || operand[0] == '-' => long.Parse(operand, CultureInfo.InvariantCulture),
            _ => _shared.TryGetValue(operand, out long address) ? address : throw new NotSupportedException($"operand {operand}"),
        };
        if (!_constants.TryGetValue((bits, width), out int register))
        {
            _constants[(bits, width)] = register = Allocate(width);
            Constants.Add((register, width, bits));
        }
        return register;
    }

    public int Register(string name)
    {
        if (!_registers.TryGetValue(name, out int register))
        {
            int width = name switch
            {
                ['%', 'p', ..] => Predicate,
                ['%', 'r', 'd', ..] or ['%', 'f', 'd', ..] => Wide,
                ['%', 'r', ..] or ['%', 'f', ..] => Narrow,
                _ => throw new NotSupportedException($"register {name}"),
            };
            _registers[name] = register = Allocate(width);
        }
        return register;
    }

    public int Parameter(string name) => _parameters[name];

    /// <summary>Register (-1: none) and offset of [base+offset].</summary>
    public (int Register, long Offset) Address(string operand)
    {
        string inner = operand.Trim('[', ']').Trim();
        int plus = inner.IndexOf('+');
        string start = plus < 0 ? inner : inner[..plus];
        long offset = plus < 0 ? 0 : long.Parse(inner[(plus + 1)..], CultureInfo.InvariantCulture);
        return start[0] == '%' ? (Register(start), offset) : (-1, offset + _shared[start]);
    }

    private int Allocate(int width)
    {
        int register = RegisterBytes;
        RegisterBytes += width == Predicate ? 64 : 32 * width;
        return register;
    }

    [GeneratedRegex(@"\.align (\d+) \.b8 ([\w$]+)\[(\d+)\]")]
    private static partial Regex SharedArray();

    [GeneratedRegex(@"\[[^\]]*\]|\{[^}]*\}|[^,|\s]+")]
    private static partial Regex Operand();
}
