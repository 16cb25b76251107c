fn main() -> std::process::ExitCode {
    shared::function::serve(approved_answers::FUNCTION)
}
