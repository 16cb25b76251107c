fn main() -> std::process::ExitCode {
    shared::function::serve(query_stream::FUNCTION)
}
