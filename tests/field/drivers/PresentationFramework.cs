// What Squirrel.Windows' Update.exe names of WPF before it knows that it shows no window; Mono has no WPF.
namespace System.Windows
{
    public class Application {}
    public class Window {}
}
