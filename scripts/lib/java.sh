# The time-skipping Temporal server for tests of long clocks: a Java program from Maven Central,
# kept in the cache and wrapped in a script, which is what Temporal's SDK wants to be given.
# Wants $CACHE and say.sh.

TEST_SERVER_VERSION=1.32.0

# Prints the path of the wrapper script.
ensure_time_skipping_server() {
  local home="$CACHE/temporal-test-server/$TEST_SERVER_VERSION" maven
  local script="$home/temporal-test-server"
  if [ ! -x "$script" ]; then
    command -v java >/dev/null 2>&1 ||
      fail "the tests of long clocks need Java 17 or later on PATH (Debian, Ubuntu: apt install openjdk-17-jre-headless maven)."
    maven=$(command -v mvn) ||
      fail "the tests of long clocks need Maven once, to fetch their server (Debian, Ubuntu: apt install maven)."
    rm -rf "$home"
    mkdir -p "$home"
    cat >"$home/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>nexus</groupId>
  <artifactId>time-skipping-server</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>io.temporal</groupId>
      <artifactId>temporal-test-server</artifactId>
      <version>$TEST_SERVER_VERSION</version>
    </dependency>
  </dependencies>
</project>
POM
    with_progress "Fetching Temporal's time-skipping test server with Maven" \
      "$maven" -B -q -f "$home/pom.xml" dependency:copy-dependencies \
      -DincludeScope=runtime "-DoutputDirectory=$home/jars" ||
      fail "Maven could not fetch io.temporal:temporal-test-server:$TEST_SERVER_VERSION (above is why)."
    # The SDK passes the port first; what follows it is not for this server.
    printf '#!/bin/sh\nexec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "%s/jars/*" io.temporal.testserver.TestServer "$1"\n' \
      "$home" >"$script.new"
    chmod +x "$script.new"
    mv "$script.new" "$script"
  fi
  printf '%s\n' "$script"
}
