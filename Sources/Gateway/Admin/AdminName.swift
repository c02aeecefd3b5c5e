import Bytes
import Crypto
import GatewayConfig

/// The name of a gateway's socket, which follows from the path of its configuration file: commands know it without reading the file.
package struct AdminName: Sendable, Hashable {
  private let stem: String

  /// How many gateways of one file have a name of their own.
  private static let numbers = 1...9
  private static let longestStem = 24

  /// - Parameter file: the absolute path. Two paths that lead to one file are two names: see `names`.
  init(of file: String) {
    let base = file.split(separator: "/").last ?? ""
    let plain = base.lastIndex(of: ".").map { base[..<$0] } ?? base
    let readable = plain.utf8.map { byte in
      byte.isLetterOrDigit || byte == UInt8(ascii: "-") ? byte : UInt8(ascii: "_")
    }
    let hash = SHA256.hash(data: Array(file.utf8)).prefix(4).map { $0 }.hexadecimal
    stem = String(decoding: readable.prefix(Self.longestStem), as: UTF8.self) + "-" + hash
  }

  /// The names of a file: by its path as it is written, without the links to the working directory, and by where it leads. The first is that
  /// of the socket; the others lead to it.
  ///
  /// With the first one, a path such as `current/routes.yaml` keeps its name when `current` leads elsewhere.
  ///
  /// - Parameters:
  ///   - path: from the root on.
  ///   - name: the same in the working directory, which the system knows without links.
  static func names(of path: String, also name: String? = nil, files: any FileAccess = Disk()) -> [AdminName]
  {
    let paths =
      [files.absolute(path), name.map(files.absolute)].map { $0?.withoutDots } + [files.resolved(path)]
    return paths.compactMap(\.self).map(AdminName.init).reduce(into: []) { names, name in
      if !names.contains(name) { names.append(name) }
    }
  }

  /// The paths of its sockets in a folder: the first gateway of a file takes the first one, and so on.
  package func paths(in folder: RunDirectory) -> [String] {
    Self.numbers.map { folder.path + "/" + stem + ($0 == 1 ? "" : ".\($0)") + ".sock" }
  }

  /// The same for a path that is written in the file.
  static func paths(from path: String) -> [String] {
    numbers.map { $0 == 1 ? path : "\(path).\($0)" }
  }
}

extension String {
  /// An absolute path without `.`, `..` and empty parts, as far as its text says it.
  fileprivate var withoutDots: String {
    var parts: [Substring] = []
    for part in split(separator: "/") where part != "." {
      if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return "/" + parts.joined(separator: "/")
  }
}
