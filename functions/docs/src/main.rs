fn main() -> std::process::ExitCode {
    shared::function::serve(docs::FUNCTION)
}
