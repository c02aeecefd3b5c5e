import Testing
import Transport

@testable import Gateway

struct UpgradeMemoryTests {
  private let mebibyte = 1 << 20

  @Test func `a short file and no sessions take what a program does`() {
    #expect(UpgradeMemory(file: 1000).bytes(for: .trial) == 16 * mebibyte + 256_000)
    #expect(UpgradeMemory(file: 1000).bytes(for: .record) == 0)
  }

  @Test func `what is kept is written, and read as bytes and as what they say`() {
    let need = UpgradeMemory(kept: 100 * mebibyte)
    #expect(need.bytes(for: .trial) == 316 * mebibyte)
    #expect(need.bytes(for: .record) == 200 * mebibyte)
    #expect(UpgradeMemory(sessions: 10_000).bytes(for: .trial) == 16 * mebibyte + 10_000 * 6 * 1024)
  }

  @Test func `an upgrade is refused where less is left, with both numbers`() {
    let need = UpgradeMemory(kept: 100 * mebibyte + 1)
    #expect(
      need.refusal(of: .trial, with: FreeMemory(bytes: 316 * mebibyte, source: .controlGroup))?.reason
        == "it would take up to 317 MiB of memory besides what the gateway has, and the control group of the process has 316 MiB left: the system might end the gateway"
    )
    #expect(
      need.refusal(of: .record, with: FreeMemory(bytes: 100 * mebibyte, source: .machine))?.reason
        == "it would take up to 201 MiB of memory besides what the gateway has, and the machine has 100 MiB left: the system might end the gateway"
    )
  }

  @Test func `it goes on where enough is left, or nobody knows`() {
    let need = UpgradeMemory(sessions: 1, kept: 100 * mebibyte)
    #expect(need.refusal(of: .trial, with: FreeMemory(bytes: 400 * mebibyte, source: .machine)) == nil)
    #expect(need.refusal(of: .trial, with: nil) == nil)
  }
}
