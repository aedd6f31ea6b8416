using System.Globalization;
using System.Text;

namespace NativeEngine.Data;

/// <summary>The generators of the built-in mixture, one a source. Every answer follows from its prompt except in <see cref="Stories"/>.</summary>
internal static class SynthesisTasks
{
    private static readonly string[] _names = ["Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ivo", "June", "Kai", "Lena", "Mia", "Noor", "Otto", "Pia"];
    private static readonly string[] _cities = ["Oslo", "Lima", "Cairo", "Kyoto", "Quito", "Turin", "Bergen", "Accra", "Perth", "Minsk", "Porto", "Hanoi"];
    private static readonly string[] _jobs = ["baker", "pilot", "nurse", "clerk", "tailor", "miner", "singer", "farmer", "judge", "coder"];
    private static readonly string[] _animals = ["fox", "owl", "bear", "hare", "crow", "seal", "toad", "wolf", "goat", "wren"];
    private static readonly string[] _adjectives = ["small", "brave", "quiet", "hungry", "old", "clever", "lazy", "gentle", "proud", "curious"];
    private static readonly string[] _places = ["river", "forest", "hill", "lake", "barn", "garden", "cave", "bridge", "field", "harbour"];
    private static readonly string[] _verbs = ["walked", "ran", "crept", "went", "hurried", "wandered"];
    private static readonly string[] _things = ["a red apple", "a silver key", "an old boot", "a warm loaf", "a lost kitten", "a round stone", "a torn map"];
    private static readonly string[] _endings = ["and smiled", "and went home", "and told a friend", "and kept it safe", "and fell asleep"];
    private static readonly string[] _months =
        ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

    public static (string Prompt, string Completion) Arithmetic(SynthesisRandom random)
    {
        int kind = random.Below(4);
        int a = random.Between(0, kind == 2 ? 99 : 999), b = random.Between(0, kind == 2 ? 12 : 999);
        (a, b) = kind == 1 && a < b ? (b, a) : (a, b);
        return kind switch
        {
            1 => (Text($"{a} - {b} ="), Text($"{a - b}")),
            2 => (Text($"{a} * {b} ="), Text($"{a * b}")),
            3 when b is > 0 and < 100 => (Text($"{a} mod {b} ="), Text($"{a % b}")),
            _ => (Text($"{a} + {b} ="), Text($"{a + b}")),
        };
    }

    public static (string Prompt, string Completion) Stories(SynthesisRandom random)
    {
        string[] animals = random.Distinct(_animals, 2);
        string adjective = random.Pick(_adjectives), place = random.Pick(_places);
        string thing = random.Pick(_things);
        var story = new StringBuilder();
        story.Append(CultureInfo.InvariantCulture, $"The {adjective} {animals[0]} {random.Pick(_verbs)} to the {place}");
        story.Append(random.Below(3) == 0 ? Text($" with the {animals[1]}. ") : ". ");
        story.Append(CultureInfo.InvariantCulture, $"There it found {thing} {random.Pick(_endings)}.");
        return (Text($"A story: {adjective} {animals[0]}, {place}, {thing}."), story.ToString());
    }

    public static (string Prompt, string Completion) Sorting(SynthesisRandom random)
    {
        int count = random.Between(3, 7);
        if (random.Below(3) == 0)
        {
            string[] words = random.Distinct([.. _animals, .. _places], count);
            return ($"sort: {string.Join(' ', words)}", string.Join(' ', words.Order(StringComparer.Ordinal)));
        }
        int[] numbers = [.. Enumerable.Range(0, count).Select(_ => random.Between(0, 99))];
        bool descending = random.Below(3) == 0;
        var sorted = descending ? numbers.OrderDescending() : numbers.Order();
        return ($"sort{(descending ? " down" : "")}: {Join(numbers)}", Join(sorted));
    }

    public static (string Prompt, string Completion) Records(SynthesisRandom random)
    {
        string[] names = random.Distinct(_names, random.Between(2, 4));
        string[] cities = random.Distinct(_cities, names.Length);
        string[] jobs = random.Distinct(_jobs, names.Length);
        int[] ages = [.. names.Select(_ => random.Between(18, 80))];
        string records = string.Join("; ", names.Select((name, i) => Text($"{name} {ages[i]} {jobs[i]} {cities[i]}")));
        int asked = random.Below(names.Length);
        return random.Below(4) switch
        {
            0 => ($"{records} | age of {names[asked]}?", Text($"{ages[asked]}")),
            1 => ($"{records} | job of {names[asked]}?", jobs[asked]),
            2 => ($"{records} | who lives in {cities[asked]}?", names[asked]),
            _ => ($"{records} | city of {names[asked]}?", cities[asked]),
        };
    }

    public static (string Prompt, string Completion) Code(SynthesisRandom random)
    {
        string[] variables = random.Distinct(["a", "b", "c", "x", "y", "n", "i", "k"], 3);
        int first = random.Between(0, 20), second = random.Between(1, 9);
        int value = first;
        var program = new StringBuilder(Text($"{variables[0]} = {first}\n{variables[1]} = {second}\n"));
        int lines = random.Between(1, 3);
        for (int line = 0; line < lines; line++)
        {
            int kind = random.Below(3);
            value = kind switch { 0 => value + second, 1 => value - second, _ => value * second };
            program.Append(CultureInfo.InvariantCulture, $"{variables[0]} = {variables[0]} {"+-*"[kind]} {variables[1]}\n");
        }
        if (random.Below(2) == 0)
        {
            int limit = random.Between(0, 60);
            program.Append(CultureInfo.InvariantCulture, $"print({variables[0]} > {limit})");
            return (program.ToString(), value > limit ? "True" : "False");
        }
        program.Append(CultureInfo.InvariantCulture, $"print({variables[0]})");
        return (program.ToString(), Text($"{value}"));
    }

    public static (string Prompt, string Completion) Dates(SynthesisRandom random)
    {
        var day = new DateOnly(random.Between(1900, 2099), 1, 1).AddDays(random.Below(365));
        return random.Below(2) == 0
            ? (Text($"date {day.Year:0000}-{day.Month:00}-{day.Day:00} in words"), Text($"{day.Day} {_months[day.Month - 1]} {day.Year}"))
            : (Text($"the day after {day.Year:0000}-{day.Month:00}-{day.Day:00}"), day.AddDays(1).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
    }

    public static (string Prompt, string Completion) Roman(SynthesisRandom random)
    {
        int value = random.Between(1, 3999);
        return random.Below(2) == 0 ? (Text($"roman {value}"), RomanOf(value)) : ($"roman {RomanOf(value)}", Text($"{value}"));
    }

    public static (string Prompt, string Completion) Json(SynthesisRandom random)
    {
        string name = random.Pick(_names), city = random.Pick(_cities), job = random.Pick(_jobs);
        int age = random.Between(18, 80);
        return random.Below(2) == 0
            ? (Text($"json: {name}, {age}, {city}"), $$"""{"name":"{{name}}","age":{{Text($"{age}")}},"city":"{{city}}"}""")
            : (Text($"json: {job} {name}, {age}"), string.Concat("{\"", job, "\":{\"name\":\"", name, "\",\"age\":", Text($"{age}"), "}}"));
    }

    internal static string RomanOf(int value)
    {
        (int Value, string Text)[] steps = [(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"),
            (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")];
        var roman = new StringBuilder();
        foreach (var (step, text) in steps)
        {
            for (; value >= step; value -= step)
            {
                roman.Append(text);
            }
        }
        return roman.ToString();
    }

    private static string Join(IEnumerable<int> numbers) =>
        string.Join(' ', numbers.Select(static n => n.ToString(CultureInfo.InvariantCulture)));

    private static string Text(FormattableString text) => FormattableString.Invariant(text);
}
