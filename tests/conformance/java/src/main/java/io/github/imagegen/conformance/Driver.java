package io.github.imagegen.conformance;

import com.google.protobuf.util.JsonFormat;
import io.github.imagegen.conformance.v1.Face;
import io.github.imagegen.conformance.v1.Outcome;
import io.github.imagegen.conformance.v1.Step;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** Does what it reads line by line on standard input, and tells on standard output what came. */
public final class Driver {
  private Driver() {}

  public static void main(String[] args) throws Exception {
    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    var printer = JsonFormat.printer().omittingInsignificantWhitespace();
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      if (!line.isBlank()) {
        out.println(printer.print(answer(line)));
        out.flush();
      }
    }
    System.exit(0); // threads of a channel that ends late hold nobody up
  }

  private static Outcome answer(String line) {
    try {
      var step = Step.newBuilder();
      JsonFormat.parser().merge(line, step);
      return dispatch(step.build());
    } catch (Exception broken) {
      broken.printStackTrace();
      return Outcome.newBuilder().setUnsupported("the driver failed: " + broken).build();
    }
  }

  private static Outcome dispatch(Step step) throws Exception {
    if (step.hasMeasure()) {
      return Measuring.run(step);
    }
    return step.getFace() == Face.FACE_HELPER
        ? new HelperSteps(step).run()
        : new PlainSteps(step).run();
  }
}
