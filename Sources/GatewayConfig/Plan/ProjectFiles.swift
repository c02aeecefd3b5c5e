/// The files of a project as they are seen from the folder of its configuration, so that projects in two folders can be compared: what a
/// file names relative to itself has the same name in both, and every other file keeps its own.
struct ProjectFiles: FileAccess {
  /// The configuration, and what is laid over it, by the names that they have here.
  let path: String
  let overlays: [String]
  private let folder: String
  /// What these names stand for.
  private let given: [String: String]
  private let files: any FileAccess

  /// - Parameters:
  ///   - source: what was read before. It is not read again, because it may have come through a pipe.
  ///   - disk: for everything else.
  init(_ source: ConfigurationFiles, beside disk: any FileAccess) {
    folder = Paths.directory(of: source.path)
    files = WrittenFiles(source, beside: disk)
    path = Paths.name(of: source.path)
    let root = Self.absolute(folder, disk)
    overlays = source.overlays.map { overlay in
      let whole = Self.absolute(overlay, disk)
      let start = root == "/" ? root : root + "/"
      return whole.hasPrefix(start) ? String(whole.dropFirst(start.count)) : whole
    }
    given = Dictionary(
      zip([path] + overlays, [source.path] + source.overlays).map { ($0, $1) },
      uniquingKeysWith: { first, _ in first })
  }

  private static func absolute(_ path: String, _ disk: any FileAccess) -> String {
    Paths.join("", disk.absolute(path))
  }

  /// The path for whoever is not in the folder.
  private func place(_ path: String) -> String {
    if let given = given[path] { return given }
    let whole = Paths.join(folder, path)
    return whole.isEmpty ? "." : whole
  }

  func contents(of path: String, as use: FileUse) -> Result<[UInt8], FileFault> {
    files.contents(of: place(path), as: use)
  }
  func fault(of path: String, as use: FileUse) -> FileFault? { files.fault(of: place(path), as: use) }
  func isDirectory(_ path: String) -> Bool { files.isDirectory(place(path)) }
  func isFile(_ path: String) -> Bool { files.isFile(place(path)) }
  func names(in directory: String) -> [String] { files.names(in: place(directory)) }
  /// What is below the folder, or beside it, is named from there.
  func absolute(_ path: String) -> String { Paths.join("", path) }
  func resolved(_ path: String) -> String? { files.resolved(place(path)) }
  func isReadableByAll(_ path: String) -> Bool { files.isReadableByAll(place(path)) }
}

/// One side of a comparison without a gateway.
package struct ComparedSide: Sendable {
  package let loaded: LoadedConfiguration
  private let environment: [String: String]
  private let secrets: SecretUse

  /// - Parameters:
  ///   - environment: the variables that the file was read with.
  ///   - secrets: whether they had to be there.
  package init(_ loaded: LoadedConfiguration, environment: [String: String], secrets: SecretUse) {
    self.loaded = loaded
    self.environment = environment
    self.secrets = secrets
  }

  private var source: ConfigurationFiles { loaded.written?.source ?? ConfigurationFiles(path: "") }

  /// The same, as it is seen from the folder of the file.
  private func fromItsFolder(_ disk: any FileAccess) -> LoadedConfiguration {
    let project = ProjectFiles(source, beside: disk)
    let seen = ConfigurationLoader.load(
      path: project.path, overlays: project.overlays, environment: environment, files: project,
      secrets: secrets)
    return seen.configuration == nil ? loaded : seen
  }

  /// What one file in the place of the other would change; nil where one of them has errors. Where they lie in two folders, paths that are
  /// relative to them are compared as they are written.
  package static func plan(from old: ComparedSide, to new: ComparedSide, _ disk: any FileAccess = Disk())
    -> Plan?
  {
    func folder(_ side: ComparedSide) -> String {
      Paths.join("", disk.absolute(Paths.directory(of: side.source.path)))
    }
    guard let oldFile = old.loaded.configuration?.file.path,
      let newFile = new.loaded.configuration?.file.path
    else { return nil }
    let isOneFolder = folder(old) == folder(new)
    let (before, after) =
      isOneFolder ? (old.loaded, new.loaded) : (old.fromItsFolder(disk), new.fromItsFolder(disk))
    guard let known = before.configuration, let now = after.configuration else { return nil }
    var comparison = ConfigurationComparison(from: known, to: now)
    (comparison.oldFile, comparison.newFile) = (oldFile, newFile)
    (comparison.oldName, comparison.newName) = (old.loaded.report.name, new.loaded.report.name)
    return Plan(comparison, old: before.files.digest, new: after.files.digest)
  }
}
