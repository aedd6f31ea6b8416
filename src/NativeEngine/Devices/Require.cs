using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Text;

namespace NativeEngine.Devices;

/// <summary>Argument checks of kernels. The message is only put together when the check fails.</summary>
internal static class Require
{
    public static void That([DoesNotReturnIf(false)] bool condition, [InterpolatedStringHandlerArgument(nameof(condition))] ref Message message)
    {
        if (!condition)
        {
            throw new ArgumentException(message.ToString());
        }
    }

    [InterpolatedStringHandler]
    public readonly ref struct Message
    {
        private readonly StringBuilder? _text;

        public Message(int literalLength, int formattedCount, bool condition, out bool enabled)
        {
            enabled = !condition;
            _text = condition ? null : new StringBuilder(literalLength + (16 * formattedCount));
        }

        public void AppendLiteral(string text) => _text!.Append(text);

        public void AppendFormatted<T>(T value) => _text!.Append(value?.ToString());

        public override string ToString() => _text?.ToString() ?? "";
    }
}
