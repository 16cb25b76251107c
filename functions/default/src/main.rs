fn main() -> std::process::ExitCode {
    shared::function::serve(default::FUNCTION)
}
