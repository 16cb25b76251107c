fn main() -> std::process::ExitCode {
    shared::function::serve(billing::FUNCTION)
}
