fn main() -> std::process::ExitCode {
    shared::function::serve(members::FUNCTION)
}
