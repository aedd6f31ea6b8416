using System.Globalization;
using System.Text;

namespace NativeEngine.Formats;

/// <summary>
/// The one Python literal that a .npy header is: {'descr': '&lt;f4', 'fortran_order': False, 'shape': (3, 4), }. Keys in any order, each
/// exactly once. Nothing is evaluated.
/// </summary>
internal ref struct PythonDictionary(string file, ReadOnlySpan<byte> text)
{
    private readonly ReadOnlySpan<byte> _text = text;
    private int _at;

    /// <summary>Reads the three entries.</summary>
    public (string Descr, bool FortranOrder, long[] Shape) Read(int maxRank)
    {
        string? descr = null;
        bool? fortran = null;
        long[]? shape = null;
        Expect('{');
        while (!Accept('}'))
        {
            string key = ReadString();
            Expect(':');
            switch (key)
            {
                case "descr" when descr is null:
                    descr = ReadDescr();
                    break;
                case "fortran_order" when fortran is null:
                    fortran = ReadBool();
                    break;
                case "shape" when shape is null:
                    shape = ReadShape(maxRank);
                    break;
                default:
                    throw Bad($"the key {FormatErrors.Quote(key)} is repeated or unknown");
            }
            if (!Accept(','))
            {
                Expect('}');
                break;
            }
        }
        SkipSpace();
        if (_at != _text.Length)
        {
            throw Bad("there is something after the dictionary");
        }
        return descr is not null && fortran is not null && shape is not null
            ? (descr, fortran.Value, shape)
            : throw Bad($"{(descr is null ? "descr" : fortran is null ? "fortran_order" : "shape")} is missing");
    }

    private string ReadDescr()
    {
        SkipSpace();
        return _at < _text.Length && _text[_at] == (byte)'[' ? throw Bad("a structured array (records with fields) is not read") : ReadString();
    }

    private bool ReadBool()
    {
        SkipSpace();
        if (_text[_at..].StartsWith("True"u8))
        {
            _at += 4;
            return true;
        }
        if (_text[_at..].StartsWith("False"u8))
        {
            _at += 5;
            return false;
        }
        throw Bad("fortran_order must be True or False");
    }

    private long[] ReadShape(int maxRank)
    {
        var shape = new List<long>(4);
        bool comma = true;
        Expect('(');
        while (!Accept(')'))
        {
            if (!comma || shape.Count == maxRank)
            {
                throw Bad($"shape must be a tuple of at most {maxRank} whole numbers");
            }
            shape.Add(ReadInteger());
            comma = Accept(',');
        }
        return shape.Count == 1 && !comma ? throw Bad("shape must be a tuple, got one number in brackets") : [.. shape];
    }

    private long ReadInteger()
    {
        SkipSpace();
        int start = _at;
        while (_at < _text.Length && char.IsAsciiDigit((char)_text[_at]))
        {
            _at++;
        }
        if (!long.TryParse(_text[start.._at], NumberStyles.None, CultureInfo.InvariantCulture, out long value))
        {
            throw Bad("shape must be whole numbers from 0 to 2^63-1");
        }
        // Python 2 wrote long integers as 3L.
        if (_at < _text.Length && _text[_at] == (byte)'L')
        {
            _at++;
        }
        return value;
    }

    private string ReadString()
    {
        SkipSpace();
        if (_at < _text.Length && (_text[_at] is (byte)'\'' or (byte)'"'))
        {
            byte quote = _text[_at];
            int length = _text[(_at + 1)..].IndexOf(quote);
            if (length >= 0)
            {
                string value = Encoding.Latin1.GetString(_text.Slice(_at + 1, length));
                _at += length + 2;
                return value;
            }
        }
        throw Bad("a quoted string is expected");
    }

    private bool Accept(char c)
    {
        SkipSpace();
        if (_at < _text.Length && _text[_at] == (byte)c)
        {
            _at++;
            return true;
        }
        return false;
    }

    private void Expect(char c)
    {
        if (!Accept(c))
        {
            throw Bad($"'{c}' is expected");
        }
    }

    private void SkipSpace()
    {
        while (_at < _text.Length && (_text[_at] is (byte)' ' or (byte)'\n' or (byte)'\t' or (byte)'\r'))
        {
            _at++;
        }
    }

    private readonly EngineException Bad(string sentence) => FormatErrors.Bad(file, $"the header is not that of an array: {sentence} (character {_at})");
}
