import Glibc

/// The file system for the loader. Tests have their own.
package protocol FileAccess {
  /// Reads a whole file. It never waits for a writer, and never reads more than the use allows.
  func contents(of path: String, as use: FileUse) -> Result<[UInt8], FileFault>
  /// What keeps a file from being read whoever reads it: it is none, or too large. It is not opened.
  ///
  /// - Returns: nil where nothing does, and where there is no such file or it is not known.
  func fault(of path: String, as use: FileUse) -> FileFault?
  func isDirectory(_ path: String) -> Bool
  func isFile(_ path: String) -> Bool
  /// The names in a directory. For a very large directory only some of them; none if it cannot be read.
  func names(in directory: String) -> [String]
  /// The path from the root, without links resolved.
  func absolute(_ path: String) -> String
  /// The path from the root with all links resolved; nil if it leads nowhere or is not known.
  func resolved(_ path: String) -> String?
  /// Whether the file's mode lets every user of the machine read it.
  func isReadableByAll(_ path: String) -> Bool
}

extension FileAccess {
  package func fault(of path: String, as use: FileUse) -> FileFault? { nil }
  package func resolved(_ path: String) -> String? { nil }

  /// By its name, where whoever stands in for the disk does not say.
  package func isFile(_ path: String) -> Bool {
    names(in: Paths.directory(of: path)).contains(Paths.name(of: path)) && !isDirectory(path)
  }
}

/// The use of a file. It determines how large the file may be, and whether it may be a pipe.
///
/// The numbers are handed to other versions, and keep their meanings.
package enum FileUse: UInt8, Sendable, CaseIterable {
  /// The configuration named on the command line: a file or, so that a program can write it, a pipe or `-`.
  case configuration = 0
  /// A file that the configuration includes, or the `app.yaml` of a local app.
  case include = 1
  /// Certificates or a key in PEM form.
  case certificate = 2
  /// Public keys, or a set of them.
  case keys = 3
  /// A secret, `{file: PATH}`.
  case secret = 4

  /// Whether it is never brought back as it was: a secret or a key that was revoked stays revoked, and a certificate that was renewed
  /// belongs to the key of today, wherever that is.
  package var isReadAnew: Bool { self == .secret || self == .keys || self == .certificate }

  /// The largest file that is accepted. Bytes.
  package var most: Int {
    switch self {
    case .configuration, .include: 8 << 20
    case .certificate, .keys: 1 << 20
    case .secret: 64 << 10
    }
  }
}

/// Why a file cannot be read, in the operator's words.
package struct FileFault: Error, Equatable {
  package var message: String

  package init(_ message: String) {
    self.message = message
  }
}

/// The disk.
///
/// Every file that a configuration names is read here. Only regular files are: a FIFO without a writer would hold its reader for
/// ever, and a device such as `/dev/zero` never ends.
package struct Disk: FileAccess {
  /// The name of the standard input on the command line.
  package static let standardInput = "-"

  /// Whether a name on the command line stands for the standard input, which can be read once.
  package static func isStandardInput(_ path: String) -> Bool {
    [standardInput, "/dev/stdin"].contains(path)
  }

  /// Why a gateway cannot read it again.
  package static let standardInputIsRead =
    "it was the standard input when the gateway started, and cannot be read again"
  private static let mostNames = 10_000

  /// How long a whole configuration may take to arrive through a pipe.
  var patience = Duration.seconds(10)

  package init() {}

  package func contents(of path: String, as use: FileUse = .configuration) -> Result<[UInt8], FileFault> {
    do throws(FileFault) {
      if use == .configuration, Self.isStandardInput(path) {
        return .success(try read(STDIN_FILENO, as: use))
      }
      // Without O_NONBLOCK the call itself would wait for the other end of a FIFO.
      let descriptor = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
      guard descriptor >= 0 else { throw FileFault(Self.words(forOpening: path, errno)) }
      defer { _ = close(descriptor) }
      return .success(try read(descriptor, as: use))
    } catch {
      return .failure(error)
    }
  }

  private static func words(forOpening path: String, _ code: Int32) -> String {
    switch code {
    // The replacement character stands for bytes that are not text, which a name cannot be made of here.
    case ENOENT where path.unicodeScalars.contains("\u{FFFD}"): "its name is not UTF-8: rename the file"
    case ENOENT: "there is no such file"
    case EACCES: "\(text(code)): the user \(user) may not read it"
    case ENXIO: "it is a socket or a device, and a file is needed"
    default: text(code)
    }
  }

  /// The user of the process: whoever asks a running gateway to read a file may be another one.
  private static var user: String {
    var (entry, found) = unsafe (passwd(), nil as UnsafeMutablePointer<passwd>?)
    var names = [CChar](repeating: 0, count: 16 * 1024)
    guard unsafe getpwuid_r(geteuid(), &entry, &names, names.count, &found) == 0, unsafe found != nil else {
      return "\(geteuid())"
    }
    return unsafe String(cString: entry.pw_name)
  }

  private func read(_ descriptor: Int32, as use: FileUse) throws(FileFault) -> [UInt8] {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw FileFault(Self.text(errno)) }
    let kind = status.st_mode & S_IFMT
    if use == .configuration, kind == S_IFIFO || kind == S_IFSOCK {
      return try read(descriptor, as: use, until: ContinuousClock.now + patience)
    }
    if let fault = Self.fault(of: status, as: use) { throw fault }
    return try read(descriptor, as: use, until: nil)
  }

  private static func fault(of status: stat, as use: FileUse) -> FileFault? {
    switch status.st_mode & S_IFMT {
    case S_IFREG: status.st_size > use.most ? tooLarge(use) : nil
    case S_IFDIR: FileFault("it is a folder")
    case S_IFIFO: FileFault("it is a pipe (FIFO), and a file is needed")
    case S_IFSOCK: FileFault("it is a socket, and a file is needed")
    default: FileFault("it is a device, and a file is needed")
    }
  }

  package func fault(of path: String, as use: FileUse) -> FileFault? {
    status(of: path).flatMap { Self.fault(of: $0, as: use) }
  }

  /// Nil where there is no such file, or nothing is known about it.
  private func status(of path: String) -> stat? {
    var status = stat()
    return unsafe stat(path, &status) == 0 ? status : nil
  }

  /// - Parameter deadline: for a pipe; nil for a file, because reading it does not wait.
  private func read(
    _ descriptor: Int32, as use: FileUse, until deadline: ContinuousClock.Instant?
  ) throws(FileFault) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
      // The standard input may be shared and must not be made non-blocking, so it is read only when it has data. A FIFO that no
      // writer has opened yet looks ended until the first byte.
      if let deadline, bytes.isEmpty || !Self.isNonBlocking(descriptor) {
        try Self.wait(for: descriptor, until: deadline)
      }
      let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
      switch (count, errno) {
      case (1..., _):
        bytes += chunk[..<count]
        // The reported size may be out of date, and some files in /proc report none.
        guard bytes.count <= use.most else { throw Self.tooLarge(use) }
      case (0, _): return bytes
      case (_, EINTR): continue
      case (_, EAGAIN):
        guard let deadline else { throw FileFault("it cannot be read") }
        try Self.wait(for: descriptor, until: deadline)
      case (_, let code): throw FileFault(Self.text(code))
      }
    }
  }

  private static func isNonBlocking(_ descriptor: Int32) -> Bool {
    fcntl(descriptor, F_GETFL) & O_NONBLOCK != 0
  }

  /// Waits until there is data, or the other end is closed.
  private static func wait(for descriptor: Int32, until deadline: ContinuousClock.Instant) throws(FileFault) {
    while true {
      let left = deadline - ContinuousClock.now
      guard left > .zero else {
        throw FileFault("it is a pipe, and its writer has not written all of it and closed it in time")
      }
      var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let milliseconds = Int32(left / .milliseconds(1)) + 1
      if unsafe poll(&wanted, 1, milliseconds) > 0 { return }
    }
  }

  private static func tooLarge(_ use: FileUse) -> FileFault {
    let size = use.most >= 1 << 20 ? "\(use.most >> 20) MiB" : "\(use.most >> 10) KiB"
    return FileFault("it is larger than \(size)")
  }

  package func isDirectory(_ path: String) -> Bool { status(of: path).map { $0.st_mode & S_IFMT } == S_IFDIR }

  package func isFile(_ path: String) -> Bool { status(of: path).map { $0.st_mode & S_IFMT } == S_IFREG }

  package func names(in directory: String) -> [String] {
    guard let stream = unsafe opendir(directory) else { return [] }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while names.count < Self.mostNames, let entry = unsafe readdir(stream) {
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

  package func resolved(_ path: String) -> String? {
    guard let resolved = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }

  /// The user that a file belongs to; nil where there is none.
  package func owner(of path: String) -> UInt32? { status(of: path)?.st_uid }

  /// Whether two names lead to the same file or folder now.
  package func isSameFile(_ one: String, _ other: String) -> Bool {
    guard let one = status(of: one), let other = status(of: other) else { return false }
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino
  }

  package func isReadableByAll(_ path: String) -> Bool {
    status(of: path).map { $0.st_mode & S_IROTH != 0 } ?? false
  }

  private static func text(_ code: Int32) -> String {
    unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
  }
}

/// Functions for paths as text.
enum Paths {
  /// The folder of a file; empty for a bare name.
  static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "" }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  static func name(of path: String) -> String { String(path.split(separator: "/").last ?? "") }

  /// The path of a file that is named at a place: it is relative to the file that names it.
  static func named(_ name: String, at place: SourceRange) -> String {
    join(directory(of: place.file.path), name)
  }

  /// How a file has to be named at a place: relative to the file there, if it is below its folder.
  static func written(_ path: String, at place: SourceRange) -> String {
    let folder = directory(of: place.file.path)
    let isBelow = !folder.isEmpty && path.hasPrefix(folder == "/" ? folder : folder + "/")
    return isBelow ? String(path.dropFirst(folder == "/" ? 1 : folder.count + 1)) : path
  }

  /// A path relative to a folder, without `.`, and without `..` if the text allows to resolve it.
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
