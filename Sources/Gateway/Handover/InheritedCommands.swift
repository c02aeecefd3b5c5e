import Bytes
import GatewayConfig
import Glibc
import Transport

/// A listening socket for commands that is handed over.
struct InheritedCommandSocket: Recorded, Equatable {
  /// Where it is bound.
  var address = ""
  var descriptor: Int32 = -1
  /// The file of a Unix socket, and its other names. Nobody else's file can have their inodes as long as the socket is open.
  var files: [SocketFile] = []

  init(_ address: BindAddress, _ descriptor: Int32, files: [SocketFile]) {
    (self.address, self.descriptor, self.files) = ("\(address)", descriptor, files)
  }

  init(from record: inout RecordReader) throws(RecordedFault) {
    while let field = try record.next() {
      switch field.number {
      case 1: address = try field.text()
      case 2: descriptor = try field.integer()
      case 3: files.append(try field.record())
      default: break
      }
    }
    guard descriptor > 2 else { throw RecordedFault("a socket for commands has no descriptor") }
  }

  func write(to record: inout RecordWriter) {
    record.add(1, text: address)
    record.add(2, Int(descriptor))
    for file in files { record.add(3, file) }
  }
}

/// The sockets for commands of the program before, until they are taken: who has connected meanwhile waits in their queues.
struct InheritedCommands {
  private var sockets: [InheritedCommandSocket]
  /// Of all of them.
  private let files: [SocketFile]

  init(_ sockets: [InheritedCommandSocket] = []) {
    self.sockets = sockets
    files = sockets.flatMap(\.files)
  }

  /// The socket of the loopback at an address. One at another address is closed, which may be the same in other words.
  ///
  /// - Returns: its descriptor, which the caller owns then; nil where the program before has had none there.
  mutating func take(_ address: BindAddress) -> Int32? {
    if let place = sockets.firstIndex(where: { $0.address == "\(address)" }) { return take(at: place) }
    while let place = sockets.firstIndex(where: \.files.isEmpty) {
      _ = Descriptor(adopting: sockets.remove(at: place).descriptor)
    }
    return nil
  }

  /// The socket whose file is at one of these paths.
  ///
  /// - Returns: nil where the program before has had none there, or its file is gone, so that nobody finds it.
  mutating func take(firstOf paths: [String]) -> (path: String, descriptor: Int32)? {
    for path in paths {
      let file = SocketFile(path: path)
      guard file != nil, let place = sockets.firstIndex(where: { $0.files.first == file }) else { continue }
      return (path, take(at: place))
    }
    return nil
  }

  private mutating func take(at place: Int) -> Int32 {
    let descriptor = sockets.remove(at: place).descriptor
    Descriptor.setInherited(descriptor, false)
    return descriptor
  }

  /// Closes those that nobody has taken, and removes the files that are not used any more.
  mutating func end(keeping used: [SocketFile]) {
    for file in files where !used.contains(file) { file.remove() }
    for socket in sockets { _ = Descriptor(adopting: socket.descriptor) }
    sockets = []
  }
}
