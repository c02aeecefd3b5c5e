import Glibc

/// Threads with the stacks on which foreign data is read.
package enum SmallStack {
  /// That of a reactor. Bytes.
  package static let reactor = 1 << 20
  /// Half of it: what is proved here leaves as much again for what calls it.
  package static let half = 1 << 19

  /// Runs something on a thread of its own with a stack of so many bytes, and waits for it. Where the stack does not suffice the
  /// test process ends, which no test survives.
  package static func run<Result: Sendable>(
    bytes: Int = half, _ body: @escaping @Sendable () -> Result
  ) -> Result? {
    let box = Box(body)
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    defer { unsafe pthread_attr_destroy(&attributes) }
    unsafe pthread_attr_setstacksize(&attributes, bytes)
    var thread = pthread_t()
    let argument = unsafe Unmanaged.passRetained(box).toOpaque()
    let failure = unsafe pthread_create(
      &thread, &attributes,
      { argument in
        guard let argument = unsafe argument else { return nil }
        unsafe Unmanaged<Runnable>.fromOpaque(argument).takeRetainedValue().run()
        return nil
      }, argument)
    guard failure == 0 else { return nil }
    pthread_join(thread, nil)
    return box.result
  }

  private class Runnable {
    func run() {}
  }

  private final class Box<Result>: Runnable {
    private let body: () -> Result
    private(set) var result: Result?

    init(_ body: @escaping () -> Result) {
      self.body = body
    }

    override func run() {
      result = body()
    }
  }
}
