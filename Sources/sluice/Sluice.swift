@main
struct Sluice {
  static func main() {
    print("sluice")
  }
}
