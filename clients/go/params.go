package imagegen

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/structpb"
)

// firstInexact is where neighbouring whole numbers begin to share one double.
const firstInexact = 1 << 53

// mergeParams is `bound` with the keys of `given` laid over it, provider by provider. Neither is changed.
func mergeParams(bound, given Params) Params {
	merged := make(Params, len(bound)+len(given))
	maps.Copy(merged, bound)
	for provider, values := range given {
		both := make(map[string]any, len(merged[provider])+len(values))
		maps.Copy(both, merged[provider])
		maps.Copy(both, values)
		merged[provider] = both
	}
	return merged
}

func paramsToProto(params Params) (map[string]*structpb.Struct, *RefusedError) {
	if len(params) == 0 {
		return nil, nil
	}
	made := make(map[string]*structpb.Struct, len(params))
	for provider, values := range params {
		if refusal := refuseBytes(provider, "params"); refusal != nil {
			return nil, refusal
		}
		object, err := objectToProto(reflect.ValueOf(values), "params."+provider)
		if err != nil {
			return nil, err
		}
		made[provider] = object
	}
	return made, nil
}

func objectToProto(object reflect.Value, path string) (*structpb.Struct, *RefusedError) {
	if object.Type().Key().Kind() != reflect.String {
		return nil, refused(path, "its keys are %v, and JSON has only strings there", object.Type().Key())
	}
	made := &structpb.Struct{Fields: make(map[string]*structpb.Value, object.Len())}
	for entries := object.MapRange(); entries.Next(); {
		key := entries.Key().String()
		if refusal := refuseBytes(key, path); refusal != nil {
			return nil, refusal
		}
		value, err := valueToProto(entries.Value(), path+"."+key)
		if err != nil {
			return nil, err
		}
		made.Fields[key] = value
	}
	return made, nil
}

func valueToProto(value reflect.Value, path string) (*structpb.Value, *RefusedError) {
	for value.Kind() == reflect.Interface || value.Kind() == reflect.Pointer {
		value = value.Elem()
	}
	if value.IsValid() && value.Type() == reflect.TypeFor[json.Number]() {
		number, err := value.Interface().(json.Number).Float64()
		if err != nil {
			return nil, refused(path, "%q is no number that a double can hold", value.String())
		}
		return numberToProto(number, path)
	}
	switch value.Kind() {
	case reflect.Invalid:
		return structpb.NewNullValue(), nil
	case reflect.Bool:
		return structpb.NewBoolValue(value.Bool()), nil
	case reflect.String:
		if refusal := refuseBytes(value.String(), path); refusal != nil {
			return nil, refusal
		}
		return structpb.NewStringValue(value.String()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return numberToProto(float64(value.Int()), path) // rounding cannot bring it below 2^53
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return numberToProto(float64(value.Uint()), path)
	case reflect.Float32, reflect.Float64:
		return numberToProto(value.Float(), path)
	case reflect.Map:
		object, err := objectToProto(value, path)
		if err != nil {
			return nil, err
		}
		return structpb.NewStructValue(object), nil
	case reflect.Slice, reflect.Array:
		return listToProto(value, path)
	}
	return nil, refused(path, "%v is not a JSON value", value.Type())
}

func listToProto(list reflect.Value, path string) (*structpb.Value, *RefusedError) {
	if list.Type().Elem().Kind() == reflect.Uint8 {
		return nil, refused(path, "JSON has no bytes: give them as the text that the provider wants, such as base64")
	}
	made := &structpb.ListValue{Values: make([]*structpb.Value, list.Len())}
	for i := range list.Len() {
		value, err := valueToProto(list.Index(i), fmt.Sprintf("%s[%d]", path, i))
		if err != nil {
			return nil, err
		}
		made.Values[i] = value
	}
	return structpb.NewListValue(made), nil
}

func numberToProto(number float64, path string) (*structpb.Value, *RefusedError) {
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return nil, refused(path, "JSON cannot say %v", number)
	}
	if math.Abs(number) >= firstInexact {
		return nil, refused(path, "a whole number from 2^53 on arrives damaged: give it as a string")
	}
	return structpb.NewNumberValue(number), nil
}

func refuseBytes(text, path string) *RefusedError {
	if !utf8.ValidString(text) {
		return refused(path, "the text is not UTF-8")
	}
	return nil
}
