package import ChannelLayers
package import Transport

/// A member of groups that keeps what it is told.
package final class RecordingMember: GroupMember {
  /// The bytes of each delivery.
  package private(set) var deliveries: [[UInt8]] = []
  package private(set) var isBehind = false
  package private(set) var closedWith: UInt16?
  package private(set) var undelivered: [Undelivered] = []
  /// Whether its send queue is over the limit from the next delivery on.
  package var isFull = false

  package let userName: String?

  private let onDelivery: (_ text: String) -> Void
  private let onUndelivered: (Undelivered) -> Void

  package init(
    userName: String? = nil, onDelivery: @escaping (_ text: String) -> Void = { _ in },
    onUndelivered: @escaping (Undelivered) -> Void = { _ in }
  ) {
    self.userName = userName
    self.onDelivery = onDelivery
    self.onUndelivered = onUndelivered
  }

  package var bytes: [UInt8] { Array(deliveries.joined()) }
  package var texts: [String] { deliveries.map { String(decoding: $0, as: UTF8.self) } }
  package var text: String { texts.joined() }

  package func forgetDeliveries() {
    deliveries = []
  }

  package func deliver(_ frames: SharedBytes, from offset: Int) -> Delivery {
    var bytes: [UInt8] = []
    frames.read { all in unsafe all.withUnsafeBytes { unsafe bytes = Array($0[offset...]) } }
    deliveries.append(bytes)
    onDelivery(String(decoding: bytes, as: UTF8.self))
    return isFull ? .queueOverLimit : .delivered
  }

  package func fellBehind() { isBehind = true }

  package func close(code: UInt16, reason: String) { closedWith = code }

  package func undelivered(_ reason: Undelivered) {
    undelivered.append(reason)
    onUndelivered(reason)
  }
}
