fn main() -> std::process::ExitCode {
    shared::function::serve(context::FUNCTION)
}
