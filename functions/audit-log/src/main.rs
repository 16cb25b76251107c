fn main() -> std::process::ExitCode {
    shared::function::serve(audit_log::FUNCTION)
}
