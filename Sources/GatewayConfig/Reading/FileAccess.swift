import Glibc

/// The file system as the loader needs it; tests give one of their own.
package protocol FileAccess {
  func contents(of path: String) -> Result<[UInt8], FileFault>
  func isDirectory(_ path: String) -> Bool
  /// The names in a directory; none where it cannot be read.
  func names(in directory: String) -> [String]
  /// The path from the root, without links resolved.
  func absolute(_ path: String) -> String
  /// Whether the file's mode lets every user of the machine read it.
  func isReadableByAll(_ path: String) -> Bool
}

/// Why a file cannot be read, in the operator's words.
package struct FileFault: Error, Equatable {
  package var message: String

  package init(_ message: String) {
    self.message = message
  }
}

/// The disk.
package struct Disk: FileAccess {
  /// More is never read: `YAMLReader` refuses it anyway.
  private static let longest = (8 << 20) + 1

  package init() {}

  package func contents(of path: String) -> Result<[UInt8], FileFault> {
    guard !isDirectory(path) else { return .failure(FileFault("it is a folder")) }
    guard let file = unsafe fopen(path, "re") else {
      return .failure(FileFault(errno == ENOENT ? "there is no such file" : Self.text(errno)))
    }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    while bytes.count < Self.longest {
      let count = unsafe fread(&chunk, 1, chunk.count, file)
      guard count > 0 else { break }
      bytes += chunk[..<count]
    }
    guard unsafe ferror(file) == 0 else { return .failure(FileFault("it cannot be read")) }
    return .success(bytes)
  }

  package func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  package func names(in directory: String) -> [String] {
    guard let stream = unsafe opendir(directory) else { return [] }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  package func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/") else { return path }
    guard let current = unsafe getcwd(nil, 0) else { return path }
    defer { unsafe free(current) }
    return Paths.join(unsafe String(cString: current), path)
  }

  package func isReadableByAll(_ path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IROTH != 0
  }

  private static func text(_ code: Int32) -> String {
    unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
  }
}

/// Paths as text.
enum Paths {
  /// The folder a file is in; empty for a bare name.
  static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "" }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  static func name(of path: String) -> String {
    String(path.split(separator: "/").last ?? "")
  }

  /// A path relative to a folder, without `.` and without `..` where that can be told from the text.
  static func join(_ directory: String, _ path: String) -> String {
    let whole = path.hasPrefix("/") || directory.isEmpty ? path : directory + "/" + path
    var components: [Substring] = []
    for component in whole.split(separator: "/") where component != "." {
      if component == "..", let last = components.last, last != ".." {
        components.removeLast()
      } else {
        components.append(component)
      }
    }
    return (whole.hasPrefix("/") ? "/" : "") + components.joined(separator: "/")
  }
}
