fn main() -> std::process::ExitCode {
    shared::function::serve(maintenance::FUNCTION)
}
