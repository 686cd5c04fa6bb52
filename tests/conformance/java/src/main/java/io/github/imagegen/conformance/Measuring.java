package io.github.imagegen.conformance;

import com.sun.management.OperatingSystemMXBean;
import io.github.imagegen.CallSettings;
import io.github.imagegen.ImageGenClient;
import io.github.imagegen.ImageModel;
import io.github.imagegen.conformance.v1.Face;
import io.github.imagegen.conformance.v1.Outcome;
import io.github.imagegen.conformance.v1.Step;
import io.github.imagegen.v1.GenerateRequest;
import io.github.imagegen.v1.ImageServiceGrpc;
import io.github.imagegen.v1.ImageServiceGrpc.ImageServiceBlockingStub;
import java.lang.management.ManagementFactory;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Measures calls of StreamGenerate, side by side. */
final class Measuring {
  private static final OperatingSystemMXBean PROCESS =
      (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  private Measuring() {}

  static Outcome run(Step step) throws Exception {
    GenerateRequest request = step.getMeasure().getRequest();
    if (step.getFace() == Face.FACE_HELPER) {
      try (ImageGenClient client = HelperSteps.connect(step)) {
        ImageModel model = client.image(request.getModel());
        CallSettings settings = new HelperSteps(step).settings(request);
        return measure(step, () -> helped(model, request.getInput().getPrompt(), settings));
      }
    }
    var channel = PlainSteps.connect(step);
    try {
      var stub = ImageServiceGrpc.newBlockingStub(channel);
      boolean checksum = step.getMeasure().getChecksum();
      return measure(step, () -> plain(stub, request, checksum));
    } finally {
      channel.shutdownNow();
    }
  }

  private static Outcome measure(Step step, Callable<Long> call) throws Exception {
    var workers = Executors.newFixedThreadPool(Math.max(1, step.getMeasure().getParallel()));
    try {
      call.call(); // the connection stands, and the classes are loaded
      long cpu = PROCESS.getProcessCpuTime();
      long begin = System.nanoTime();
      var calls = new ArrayList<Future<Long>>();
      for (int i = 0; i < step.getMeasure().getCalls(); i++) {
        calls.add(workers.submit(call));
      }
      long bytes = 0;
      for (var done : calls) {
        bytes += done.get();
      }
      long end = System.nanoTime();
      var outcome = Outcome.newBuilder();
      outcome
          .getMeasuredBuilder()
          .setWallSeconds((end - begin) / 1e9)
          .setCpuSeconds((PROCESS.getProcessCpuTime() - cpu) / 1e9)
          .setBytes(bytes);
      return outcome.build();
    } finally {
      workers.shutdownNow();
    }
  }

  private static long helped(ImageModel model, String prompt, CallSettings settings) {
    try (var stream = model.stream(prompt, settings)) {
      return stream.result().images().stream().mapToLong(image -> image.bytes().size()).sum();
    }
  }

  private static long plain(
      ImageServiceBlockingStub stub, GenerateRequest request, boolean checksum) {
    MessageDigest digest = Pictures.digest();
    byte[] image = null;
    long bytes = 0;
    var messages = stub.streamGenerate(request);
    while (messages.hasNext()) {
      var message = messages.next();
      if (message.hasComplete()) {
        image = new byte[message.getComplete().getImage().getSizeBytes()];
      } else if (message.hasChunk() && message.getChunk().getPreviewNumber() == 0) {
        var chunk = message.getChunk();
        chunk.getData().copyTo(image, chunk.getOffset());
        bytes += chunk.getData().size();
        if (checksum) {
          digest.update(image, chunk.getOffset(), chunk.getData().size());
        }
      }
    }
    if (checksum) {
      digest.digest();
    }
    return bytes;
  }
}
