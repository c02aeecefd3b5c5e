import GatewayConfig

extension AdminAnswer {
  /// Over the Unix socket, those who may name a program could run it themselves. Whoever has the token may be anybody on the machine.
  static let foreignProgram = AdminAnswer.refused(
    403, "foreign-program",
    "with the token, the gateway executes its own program anew and no other one; the socket for commands takes others"
  )
}

/// Which files somebody may have the gateway read, and be told of.
///
/// Findings repeat lines of a file. Over the Unix socket only root and the user of the gateway ask, who can read what it reads. Whoever has
/// the token of a loopback address may be anybody on the machine.
struct FileReach {
  private enum Extent {
    case everything
    /// Below these folders.
    case folders([String])
  }

  /// What has become of a file that somebody wants to have read.
  enum Read {
    case loaded(LoadedConfiguration)
    case refused(AdminAnswer)
  }

  private let extent: Extent

  init(of asker: Asker, _ source: GatewaySource) {
    extent =
      switch asker {
      case .process, .signal: .everything
      case .token: .folders(([source.path] + source.overlays).map(Self.folder))
      }
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// - Parameter file: nil for the one that is served.
  /// - Returns: nil where the file may be read. Links are followed.
  func refusal(of file: String?, _ disk: some FileAccess) -> AdminAnswer? {
    guard let file, case .folders(let folders) = extent else { return nil }
    let isBelow = folders.compactMap(disk.resolved).contains { folder in
      disk.resolved(file)?.hasPrefix(folder == "/" ? folder : folder + "/") == true
    }
    guard !isBelow else { return nil }
    return .refused(
      403, "foreign-file",
      "with the token, only files in the folder of the one that is served are read; the socket for commands takes others"
    )
  }

  /// What is said of a file with errors.
  func answer(_ report: FindingReport, of file: String?) -> AdminAnswer {
    guard file != nil, case .folders = extent else { return AdminAnswer(findings: report) }
    return .refused(
      422, "findings",
      "the file has errors, which are not told to those who have only the token: \"sluice validate\" says them"
    )
  }
}
