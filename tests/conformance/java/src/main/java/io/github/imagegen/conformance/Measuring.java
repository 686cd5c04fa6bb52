package io.github.imagegen.conformance;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import com.google.protobuf.util.Values;
import com.sun.management.OperatingSystemMXBean;
import io.github.imagegen.CallSettings;
import io.github.imagegen.ImageGenClient;
import io.github.imagegen.ImageModel;
import io.github.imagegen.conformance.v1.Face;
import io.github.imagegen.conformance.v1.Outcome;
import io.github.imagegen.conformance.v1.Step;
import io.github.imagegen.v1.GenerateRequest;
import io.github.imagegen.v1.ImageInput;
import io.github.imagegen.v1.ImageOptions;
import io.github.imagegen.v1.ImageResult;
import io.github.imagegen.v1.ImageServiceGrpc;
import io.github.imagegen.v1.ImageServiceGrpc.ImageServiceBlockingStub;
import java.lang.management.ManagementFactory;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Measures calls of StreamGenerate, side by side. */
final class Measuring {
  private static final OperatingSystemMXBean PROCESS =
      (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  private Measuring() {}

  static Outcome run(Step step) throws Exception {
    var wish = new Plain(step.getMeasure().getRequest());
    if (step.getFace() == Face.FACE_HELPER) {
      try (ImageGenClient client = HelperSteps.connect(step)) {
        var bound = CallSettings.builder().options(o -> o.setPreviewCount(wish.previewCount));
        wish.params.forEach(bound::params);
        ImageModel model = client.image(wish.model, bound.build());
        return measure(step, () -> helped(model, wish));
      }
    }
    var channel = PlainSteps.connect(step);
    try {
      var stub = ImageServiceGrpc.newBlockingStub(channel);
      boolean checksum = step.getMeasure().getChecksum();
      return measure(step, () -> plain(stub, wish, checksum));
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

  private static long helped(ImageModel model, Plain wish) {
    var settings = CallSettings.builder().requestId(wish.requestId).build();
    try (var stream = model.stream(wish.prompt, settings)) {
      return stream.result().images().stream().mapToLong(image -> image.bytes().size()).sum();
    }
  }

  private static long plain(ImageServiceBlockingStub stub, Plain wish, boolean checksum) {
    MessageDigest digest = Pictures.digest();
    Map<Integer, byte[]> images = new HashMap<>();
    ImageResult result = null;
    var messages = stub.streamGenerate(wish.request());
    while (messages.hasNext()) {
      var message = messages.next();
      if (message.hasComplete()) {
        var made = message.getComplete();
        images.put(made.getIndex(), new byte[made.getImage().getSizeBytes()]);
      } else if (message.hasChunk() && message.getChunk().getPreviewNumber() == 0) {
        var chunk = message.getChunk();
        byte[] image = images.get(chunk.getIndex());
        chunk.getData().copyTo(image, chunk.getOffset());
        if (checksum) {
          digest.update(image, chunk.getOffset(), chunk.getData().size());
        }
      } else if (message.hasResult()) {
        result = message.getResult();
      }
    }
    if (checksum) {
      digest.digest();
    }
    return result.getImagesList().stream()
        .mapToLong(made -> images.get(made.getIndex()).length)
        .sum();
  }

  /** What to ask for, in plain values as a program has them. */
  private static final class Plain {
    final String model;
    final String prompt;
    final int previewCount;
    final Map<String, Map<String, Object>> params = new LinkedHashMap<>();
    final String requestId;

    Plain(GenerateRequest request) {
      model = request.getModel();
      prompt = request.getInput().getPrompt();
      previewCount = request.getOptions().getPreviewCount();
      request
          .getParamsMap()
          .forEach((provider, values) -> params.put(provider, HelperSteps.plain(values)));
      requestId = request.getRequestId();
    }

    GenerateRequest request() {
      var request =
          GenerateRequest.newBuilder()
              .setModel(model)
              .setInput(ImageInput.newBuilder().setPrompt(prompt))
              .setOptions(ImageOptions.newBuilder().setPreviewCount(previewCount))
              .setRequestId(requestId);
      params.forEach((provider, values) -> request.putParams(provider, struct(values)));
      return request.build();
    }

    private static Struct struct(Map<?, ?> values) {
      var struct = Struct.newBuilder();
      values.forEach((key, value) -> struct.putFields((String) key, value(value)));
      return struct.build();
    }

    private static Value value(Object value) {
      if (value instanceof Number number) {
        return Values.of(number.doubleValue());
      } else if (value instanceof String text) {
        return Values.of(text);
      } else if (value instanceof Boolean truth) {
        return Values.of(truth);
      } else if (value instanceof Map<?, ?> map) {
        return Values.of(struct(map));
      } else if (value instanceof List<?> items) {
        return Values.of(items.stream().map(Plain::value).toList());
      }
      return Values.ofNull();
    }
  }
}
