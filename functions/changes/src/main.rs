fn main() -> std::process::ExitCode {
    shared::function::serve(changes::FUNCTION)
}
