Console.Error.WriteLine("nengine");
return 0;
