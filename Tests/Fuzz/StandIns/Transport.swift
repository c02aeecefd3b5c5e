/// Stands for what the readers of Redis's bytes ask of the transport: how much memory there is. Always much, so that an input means the
/// same on every machine.
public struct MemoryLimit: Sendable {
  public var bytes: Int

  public static func ofProcess() -> MemoryLimit {
    MemoryLimit(bytes: 16 << 30)
  }
}
