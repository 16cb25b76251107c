fn main() -> std::process::ExitCode {
    shared::function::serve(document_upload::FUNCTION)
}
