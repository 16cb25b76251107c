fn main() -> std::process::ExitCode {
    shared::function::serve(health::FUNCTION)
}
