fn main() -> std::process::ExitCode {
    shared::function::serve(conversations::FUNCTION)
}
