fn main() -> std::process::ExitCode {
    shared::function::serve(auth::FUNCTION)
}
