using System.Text;
using NativeEngine.Formats;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Formats;

public class StrictJsonTests
{
    private static StrictJson Parse(string json) => StrictJson.Parse("config.json", Encoding.UTF8.GetBytes(json));

    [Fact]
    public void Getters_RightTypes_GiveTheValues()
    {
        StrictJson root = Parse("\uFEFF" + """{"i":3,"l":5000000000,"d":1e-5,"s":"ü\n","b":true,"n":null,"a":[1,[2]],"o":{"x":{"y":7}}}""");
        Assert.Equal(3, root.RequireInt("i", 1));
        Assert.Equal(5000000000, root.RequireLong("l"));
        Assert.Equal(1e-5, root.RequireDouble("d"));
        Assert.Equal(3, root.OptionalDouble("i"));
        Assert.Equal("ü\n", root.RequireString("s"));
        Assert.True(root.RequireBool("b"));
        Assert.Null(root.OptionalInt("n"));
        Assert.Null(root.OptionalString("absent"));
        Assert.Equal(2, root.Require("a").Count());
        Assert.Equal(7, root.Require("o").Require("x").RequireInt("y"));
        Assert.Equal(["i", "l", "d", "s", "b", "n", "a", "o"], root.Members().Select(m => m.Name));
    }

    [Fact]
    public void Getters_WrongTypes_AreSentencesWithFileAndPath()
    {
        StrictJson root = Parse("""{"hidden_size":"abc","f":1.5,"big":9999999999,"huge":1e999,"o":{"x":{"y":[1,"two"]}},"neg":-1,"s":"\ud800"}""");
        void Says(string sentence, Action action) => Assert.Equal(sentence, Expect.Fails(ErrorKind.BadInput, action).Message);
        Says("config.json: \"hidden_size\" must be a positive integer, got \"abc\"", () => root.RequireInt("hidden_size", 1));
        Says("config.json: \"f\" must be an integer, got 1.5", () => root.RequireInt("f"));
        Says("config.json: \"big\" must be an integer, got 9999999999", () => root.RequireInt("big"));
        Says("config.json: \"huge\" must be a finite number, got 1e999", () => root.RequireDouble("huge"));
        Says("config.json: \"neg\" must be an integer of at least 0, got -1", () => root.OptionalInt("neg", 0));
        Says("config.json: \"neg\" must be a number from 0 to 1, got -1", () => root.OptionalDouble("neg", 0, 1));
        Says("config.json: \"vocab_size\" is missing; it must be a positive integer", () => root.RequireInt("vocab_size", 1));
        Says("config.json: \"o.x.y[1]\" must be an integer, got \"two\"", () => root.Require("o").Require("x").Require("y").Items().Last().AsInt());
        Says("config.json: \"o.x.z\" is missing; it must be true or false", () => root.Require("o").Require("x").RequireBool("z"));
        Says("config.json: \"f\" must be an object, got 1.5", () => root.Require("f").Require("x"));
        Says("config.json: \"o\" must be an array, got an object", () => root.Require("o").Items());
        Says("config.json: \"s\" has a string with half of a surrogate pair", () => root.RequireString("s"));
        Says("config.json: the document must be an object, got an array", () => Parse("[]").Members());
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{}x")]
    [InlineData("{\"a\":NaN}")]
    [InlineData("{\"a\":1,}")]
    [InlineData("{\"a\":1,\"a\":2}")]
    [InlineData("{\"x\":[{\"a\":1,\"\\u0061\":2}]}")]
    [InlineData("// comment\n{}")]
    public void Parse_NotStrictJson_Refused(string json) => Expect.Fails(ErrorKind.BadInput, () => Parse(json), "config.json: not valid JSON");

    [Fact]
    public void Parse_BytesAndDepthAndSize_Refused()
    {
        using var folder = new TemporaryFolder();
        Expect.Fails(ErrorKind.BadInput, () => StrictJson.Parse("f", [(byte)'"', 0xFF, (byte)'"']), "not UTF-8");
        Expect.Fails(ErrorKind.BadInput, () => Parse(new string('[', 100) + new string(']', 100)), "depth");
        Expect.Fails(ErrorKind.BadInput, () => StrictJson.Load(folder.Write("long.json", "[1,2,3]"), maxBytes: 6), "long.json", "7 bytes", "at most 6");
        Expect.Fails(ErrorKind.BadInput, () => StrictJson.Load(folder.File("none.json")), "no such file");
        Expect.Fails(ErrorKind.BadInput, () => StrictJson.Load(folder.Write("empty.json", "")), "empty.json: not valid JSON");
        Expect.Fails(ErrorKind.BadInput, () => Parse("{\"\\ud800\":1}").Members().ToList(), "surrogate");
    }
}
