package io.github.imagegen;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.StringWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReadmeTest {
  @TempDir Path classes;

  /** Every snippet of the README compiles as it stands. */
  @Test
  void snippetsCompile() throws Exception {
    var found =
        Pattern.compile("(?ms)^```java\n(.*?)^```").matcher(Files.readString(Path.of("README.md")));
    List<JavaFileObject> sources = new ArrayList<>();
    while (found.find()) {
      sources.add(source("Snippet" + sources.size(), found.group(1)));
    }
    assertTrue(sources.size() > 5, "the README has snippets");
    var told = new StringWriter();
    var options = List.of("-d", classes.toString(), "-cp", System.getProperty("java.class.path"));
    var compiler = ToolProvider.getSystemJavaCompiler();
    boolean compiled = compiler.getTask(told, null, null, options, null, sources).call();
    assertTrue(compiled, told.toString());
  }

  /** The snippet in a method that has what snippets leave out: a client and such. */
  private static JavaFileObject source(String name, String snippet) {
    StringBuilder given = new StringBuilder();
    given(given, snippet, "client", "ImageGenClient");
    given(given, snippet, "edit", "ImageEdit");
    given(given, snippet, "subscriber", "java.util.concurrent.Flow.Subscriber<ImageEvent>");
    String text =
        "import io.github.imagegen.*; import io.github.imagegen.v1.DeliveryMode;"
            + "import io.github.imagegen.v1.ImageServiceGrpc;"
            + "import io.github.imagegen.v1.ResumeRequest;"
            + "import java.nio.file.Path; import java.time.Duration;"
            + "import java.util.concurrent.CompletableFuture;"
            + ("class " + name + " { void run(" + given + ") throws Exception {\n")
            + snippet
            + "}}";
    return new SimpleJavaFileObject(
        URI.create("string:///" + name + ".java"), JavaFileObject.Kind.SOURCE) {
      @Override
      public CharSequence getCharContent(boolean lenient) {
        return text;
      }
    };
  }

  private static void given(StringBuilder parameters, String snippet, String name, String type) {
    if (!Pattern.compile("\\b" + name + " ?=").matcher(snippet).find()) {
      parameters.append(parameters.length() == 0 ? "" : ", ").append(type + " " + name);
    }
  }
}
