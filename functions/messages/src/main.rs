fn main() -> std::process::ExitCode {
    shared::function::serve(messages::FUNCTION)
}
