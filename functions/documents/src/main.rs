fn main() -> std::process::ExitCode {
    shared::function::serve(documents::FUNCTION)
}
