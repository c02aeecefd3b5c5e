import Sessions

/// A connected socket on its way between a worker and the HTTP service. The receiver owns the descriptor.
struct HandedOverConnection: Sendable {
  var descriptor: Int32
  /// Bytes that were read from it and not handled yet.
  var bytes: [UInt8]
  var client: Client
}
