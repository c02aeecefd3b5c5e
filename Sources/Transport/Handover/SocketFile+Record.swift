public import Bytes

extension SocketFile: Recorded {
  public init(from record: inout RecordReader) throws(RecordedFault) {
    var (path, device, inode) = ("", UInt(0), UInt(0))
    while let field = try record.next() {
      switch field.number {
      case 1: path = try field.text()
      case 2: device = try field.integer()
      case 3: inode = try field.integer()
      default: break
      }
    }
    self.init(path: path, device: device, inode: inode)
  }

  public func write(to record: inout RecordWriter) {
    record.add(1, text: path)
    record.add(2, UInt64(device))
    record.add(3, UInt64(inode))
  }
}
