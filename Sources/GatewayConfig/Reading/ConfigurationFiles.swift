package import Bytes

/// A configuration as it was written: its files with what was in them when they were read, also secrets. From this it can be read again
/// when the files are others, also by another process.
package struct ConfigurationFiles: Sendable, Hashable {
  /// As named on the command line.
  package var path = ""
  package var overlays: [String] = []
  package var files: [ReadFile] = []

  package init(path: String, overlays: [String] = [], files: [ReadFile] = []) {
    (self.path, self.overlays, self.files) = (path, overlays, files)
  }

  /// One hash of all files.
  package var digest: String { files.digest }

  /// Without what is read anew from the disk where it is served again.
  package var withoutSecrets: ConfigurationFiles {
    ConfigurationFiles(path: path, overlays: overlays, files: files.filter { !$0.use.isReadAnew })
  }

  /// Whether the texts are those of another configuration. Certificates may have been renewed, and secrets may be others.
  package func saysTheSame(as other: ConfigurationFiles?) -> Bool {
    func texts(_ files: [ReadFile]) -> String {
      files.filter { !$0.use.isReadAnew }.digest
    }
    return other.map { texts(files) == texts($0.files) } ?? false
  }
}

extension ConfigurationFiles: Recorded {
  package init(from record: inout RecordReader) throws(RecordedFault) {
    while let field = try record.next() {
      switch field.number {
      case 1: path = try field.text()
      case 2: overlays.append(try field.text())
      case 3: files.append(try field.record())
      default: break
      }
    }
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, text: path)
    for overlay in overlays { record.addAlways(2, text: overlay) }
    for file in files { record.add(3, file) }
  }
}

extension ReadFile: Recorded {
  package init(from record: inout RecordReader) throws(RecordedFault) {
    var file = ReadFile(path: "", use: .include, contents: [], digest: nil)
    while let field = try record.next() {
      switch field.number {
      case 1: file.path = try field.text()
      case 2: file.use = try field.choice()
      case 3: file.contents = try field.bytes()
      case 4: file.digest = try field.text()
      case 5: file.isOverlay = try field.flag()
      default: break
      }
    }
    self = file
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, text: path)
    record.addAlways(2, UInt64(use.rawValue))
    record.add(3, contents)
    if let digest { record.add(4, text: digest) }
    record.add(5, isOverlay)
  }
}

/// The files of a configuration as they were, and the disk for everything else.
struct WrittenFiles: FileAccess {
  private let known: [String: [ReadFile]]
  private let disk: any FileAccess

  init(_ written: ConfigurationFiles, beside disk: any FileAccess) {
    known = Dictionary(grouping: written.files, by: \.path)
    self.disk = disk
  }

  func contents(of path: String, as use: FileUse) -> Result<[UInt8], FileFault> {
    guard let file = known[path]?.first(where: { $0.use == use }) else {
      return disk.contents(of: path, as: use)
    }
    return .success(file.contents)
  }

  func fault(of path: String, as use: FileUse) -> FileFault? {
    known[path] == nil ? disk.fault(of: path, as: use) : nil
  }
  func isDirectory(_ path: String) -> Bool { known[path] == nil && disk.isDirectory(path) }
  func isFile(_ path: String) -> Bool { known[path] != nil || disk.isFile(path) }
  func names(in directory: String) -> [String] { disk.names(in: directory) }
  func absolute(_ path: String) -> String { disk.absolute(path) }
  func resolved(_ path: String) -> String? { disk.resolved(path) }
  func isReadableByAll(_ path: String) -> Bool { disk.isReadableByAll(path) }
}

extension LoadedConfiguration {
  /// The same files, read with another use of their secrets. What was read of the files themselves is not read again, because it may have
  /// come through a pipe.
  ///
  /// - Returns: the same where one of the files on the command line could not be read, which secrets do not change.
  package func again(
    with secrets: SecretUse, environment: [String: String], files disk: any FileAccess = Disk()
  ) -> LoadedConfiguration {
    let named = Set([report.path] + report.overlays)
    guard named.isSubset(of: files.filter { $0.use == .configuration }.map(\.path)) else { return self }
    let read = ConfigurationFiles(path: report.path, overlays: report.overlays, files: files).withoutSecrets
    return ConfigurationLoader.load(
      path: read.path, overlays: read.overlays, environment: environment,
      files: WrittenFiles(read, beside: disk), secrets: secrets)
  }
}

extension ConfigurationLoader {
  /// Reads what a gateway that runs has served. Folders, and files that were not read then, are those of the disk.
  package static func load(
    _ written: ConfigurationFiles, environment: [String: String], files: any FileAccess = Disk()
  ) -> LoadedConfiguration {
    load(
      path: written.path, overlays: written.overlays, environment: environment,
      files: WrittenFiles(written, beside: files), isRunning: true)
  }
}
