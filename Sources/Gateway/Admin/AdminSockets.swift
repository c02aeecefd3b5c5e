import GatewayConfig
import Transport

/// The listening sockets for commands: the one that the file names, if it does, and a Unix socket that is named after the file.
///
/// With that one, commands find the gateway whatever the file says by then, and need no token: the system says who they are.
struct AdminSockets: Sendable {
  private(set) var all: [AdminSocket] = []
  /// Why none is named after the file: a sentence for the operator. The gateway can run without.
  private(set) var missing: String?

  /// Why the address that the file names could not be opened: with one, a gateway does not start.
  private(set) var refusal: GatewayServer.StartFailure?

  /// Opens what the file asks for.
  ///
  /// - Parameters:
  ///   - isShared: whether other gateways may have the same file: then each has a path of its own.
  ///   - inherited: those of the program before; what is not asked for any more is closed.
  init(
    _ wanted: AdminAddress, at place: AdminPlace, isShared: Bool = false,
    inheriting inherited: [InheritedCommandSocket] = []
  ) {
    var inherited = InheritedCommands(inherited)
    defer { inherited.end(keeping: all.flatMap(\.files)) }
    if case .nowhere = wanted { return }
    do throws(AdminSocket.Fault) {
      switch wanted {
      case .nowhere, .standard: break
      case .unix(let path):
        all = [try .unix(firstOf: Self.paths(path, isShared: isShared), from: &inherited)]
      case .loopback(let host, let port, _): all = [try .tcp(host: host, port: port, from: &inherited)]
      }
    } catch {
      refusal = Self.failure(toOpen: wanted, error)
    }
    nameAfterFile(place, &inherited)
  }

  /// The paths that are tried for one in the file.
  static func paths(_ path: String, isShared: Bool) -> [String] {
    isShared ? AdminName.paths(from: path) : [path]
  }

  static func failure(
    toOpen wanted: AdminAddress, _ reason: AdminSocket.Fault
  ) -> GatewayServer.StartFailure {
    let address = wanted.bind.map { "\($0)" } ?? ""
    return .init(description: "cannot listen on \(address), where commands are to come: \(reason)")
  }

  private mutating func nameAfterFile(_ place: AdminPlace, _ inherited: inout InheritedCommands) {
    guard let name = place.names.first else { return }
    var faults: [String] = []
    for folder in place.folders {
      let paths = name.paths(in: folder)
      // The file may name the very same path.
      guard !all.contains(where: { $0.path.map(paths.contains) ?? false }) else { return }
      do throws(AdminSocket.Fault) {
        let names = place.names.map { $0.paths(in: folder) }
        return all.append(try .unix(in: folder, as: names, from: &inherited))
      } catch {
        faults.append("\(folder.path) \(error)")
      }
    }
    missing = faults.joined(separator: "; ")
  }

  /// For the program that takes the place of this one.
  var inheritable: [InheritedCommandSocket] {
    all.map { InheritedCommandSocket($0.address, $0.descriptor, files: $0.files) }
  }

  /// The process that has the place of the first gateway of the same file.
  var first: PeerCredentials? { all.lazy.compactMap(\.first).first }

  /// What has become of a socket whose file is gone.
  enum Renewal: Sendable {
    /// The descriptor that it had.
    case opened(AdminSocket, before: Int32)
    case failed(AdminSocket, AdminSocket.Fault)
  }

  /// Opens those anew whose files are gone.
  mutating func renew() -> [Renewal] {
    all.indices.filter { all[$0].isLost }.map { place in
      let lost = all[place]
      do throws(AdminSocket.Fault) {
        all[place] = try lost.reopened()
        return .opened(all[place], before: lost.descriptor)
      } catch {
        return .failed(lost, error)
      }
    }
  }

  /// Removes the files, unless other processes have replaced them.
  func remove() {
    for socket in all { socket.remove() }
  }
}
