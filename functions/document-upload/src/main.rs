fn main() -> Result<(), shared::function::BoxError> {
    shared::function::serve(document_upload::FUNCTION)
}
