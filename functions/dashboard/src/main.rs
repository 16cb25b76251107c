fn main() -> std::process::ExitCode {
    shared::function::serve(dashboard::FUNCTION)
}
