namespace NativeEngine.Reporting;

/// <summary>The look that all figures share.</summary>
internal static class FigureStyle
{
    /// <summary>Height of secondary text in the drawing's units.</summary>
    public const double SmallSize = 11;

    /// <summary>Variables, their dark values, and the classes of text, axes and marks. Colours keep their order under colour blindness; ink has a contrast
    /// of at least 4.5 on the fullest cells of a heat map (more, less).</summary>
    public const string Common = """

        svg{--ground:#ffffff;--ink:#1b1f24;--quiet:#57606a;--grid:#e3e6ea;--a:#0b6bcb;--b:#c2410c;--c:#15803d;--d:#7e22ce;--e:#a16207;--f:#0e7490;--more:#4796e3;--less:#ea7a45}
        @media (prefers-color-scheme:dark){svg{--ground:#14181d;--ink:#e8ebee;--quiet:#9aa4af;--grid:#2b3138;--a:#6cb2ff;--b:#ff9e64;--c:#6fd08c;--d:#c79bff;--e:#e6c15c;--f:#5fd4e6;--more:#2a68b0;--less:#a04c1c}}
        text{font:13px system-ui,"Segoe UI","Helvetica Neue",Arial,sans-serif;fill:var(--ink)}
        .ground{fill:var(--ground)}.heading{font-size:15px;font-weight:600}.quiet{fill:var(--quiet)}.small{font-size:11px}.small.quiet{fill:var(--quiet)}
        .grid{stroke:var(--grid);stroke-width:1}.axis{stroke:var(--quiet);stroke-width:1}
        .line{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}.line.faint{stroke-width:1;stroke-opacity:.38}.line.dashed{stroke-dasharray:6 4}
        .line.a{stroke:var(--a)}.line.b{stroke:var(--b)}.line.c{stroke:var(--c)}.line.d{stroke:var(--d)}.line.e{stroke:var(--e)}.line.f{stroke:var(--f)}
        .fill{fill-opacity:.22}.fill.a,.bar.a,.dot.a circle,.swatch.a{fill:var(--a)}.fill.b,.bar.b,.dot.b circle,.swatch.b{fill:var(--b)}
        .fill.c,.bar.c,.dot.c circle,.swatch.c{fill:var(--c)}.fill.d,.bar.d,.dot.d circle,.swatch.d{fill:var(--d)}.fill.e,.bar.e,.dot.e circle,.swatch.e{fill:var(--e)}.fill.f,.bar.f,.dot.f circle,.swatch.f{fill:var(--f)}
        .dot circle{stroke:var(--ground);stroke-width:1}.swatch{stroke:none}.swatch.faint{fill-opacity:.4}.swatch.dashed{fill-opacity:.65}
        .points{fill:none;stroke-width:3.4;stroke-linecap:round;stroke-opacity:.55}.points.a,.whisker.a{stroke:var(--a)}.points.b,.whisker.b{stroke:var(--b)}.points.c,.whisker.c{stroke:var(--c)}
        .points.d,.whisker.d{stroke:var(--d)}.points.e,.whisker.e{stroke:var(--e)}.points.f,.whisker.f{stroke:var(--f)}.whisker{stroke-width:2.4;stroke-opacity:.55}
        .whole{fill:var(--grid)}.none{fill:none;stroke:var(--grid);stroke-width:1}.error{stroke:var(--ink);stroke-width:1.4}.mark{stroke:var(--b);stroke-width:1;stroke-dasharray:2 3}
        .link{fill:none;stroke:var(--quiet);stroke-width:.6;stroke-opacity:.35}.cell.a{fill:var(--more)}.cell.b{fill:var(--less)}
        .halo{paint-order:stroke;stroke:var(--ground);stroke-width:3px;stroke-linejoin:round}

        """;

    /// <summary>
    /// An upper estimate of a text's width in a sans-serif font: wide and narrow letters by class. Figures must fit without measuring on
    /// the reader's machine.
    /// </summary>
    public static double TextWidth(string text, double size)
    {
        double em = 0;
        foreach (char c in text)
        {
            em += c switch
            {
                'i' or 'j' or 'l' or '.' or ',' or ':' or ';' or '|' or '\'' or '!' or ' ' => 0.34,
                'f' or 'r' or 't' or '(' or ')' or '[' or ']' or '/' or '-' => 0.42,
                'm' or 'w' or 'M' or 'W' or '%' or '@' => 0.98,
                >= 'A' and <= 'Z' => 0.76,
                // Chinese, Japanese, Korean and full-width forms fill a square, some fonts' a little more.
                >= '\u1100' and <= '\u115F' or >= '\u2E80' and <= '\uA4CF' or >= '\uAC00' and <= '\uD7A3' or >= '\uF900' and <= '\uFAFF' or >= '\uFE30' and <= '\uFE6F' or >= '\uFF01' and <= '\uFF60' or >= '\uFFE0' and <= '\uFFE6' => 1.04,
                '+' or '=' or '<' or '>' or '×' => 0.84,
                _ => 0.64,
            };
        }
        return em * size;
    }
}
