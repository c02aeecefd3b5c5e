/// An order that a layer keeps until its time is over, so that processes that start later know it, too.
///
/// The layer does not read it: its subject and its content are texts of whoever gave it.
package struct KeptOrder: Sendable, Equatable {
  /// There is one order for each subject.
  package var subject: String
  package var content: String

  package init(subject: String, content: String) {
    self.subject = subject
    self.content = content
  }
}

extension LayerBackend {
  // A layer that ends with its process keeps nothing: the process itself knows its orders.

  package func keep(_ order: KeptOrder) async -> Bool { true }
  package func forget(orders subjects: [String]) async -> Bool { true }
  package func keptOrders() async -> [KeptOrder]? { nil }
}
