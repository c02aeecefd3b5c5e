import Hummingbird

/// The files below one directory, for Hummingbird's file middleware.
///
/// The middleware refuses every path with two dots in it, `a..b.txt` too. What leads out of the directory has been found out
/// before, so two dots reach it in disguise and are told to the file system as they are.
struct ServedFiles: FileProvider {
  /// In no name of a file.
  private static let disguise = ".\u{0}."

  let files: LocalFileSystem

  static func disguised(_ path: String) -> String { path.replacing("..", with: disguise) }

  func getFileIdentifier(_ path: String) -> String? {
    files.getFileIdentifier(path.replacing(Self.disguise, with: ".."))
  }

  func getAttributes(id: String) async throws -> LocalFileSystem.FileAttributes? {
    try await files.getAttributes(id: id)
  }

  func loadFile(id: String, context: some RequestContext) async throws -> ResponseBody {
    try await files.loadFile(id: id, context: context)
  }

  func loadFile(id: String, range: ClosedRange<Int>, context: some RequestContext) async throws
    -> ResponseBody
  {
    try await files.loadFile(id: id, range: range, context: context)
  }
}
