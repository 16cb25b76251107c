fn main() -> std::process::ExitCode {
    shared::function::serve(privacy::FUNCTION)
}
