// Informer follows one kind through a kubeconfig, as controllers do, and prints what it learns, a JSON line each.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

type line struct {
	Event     string `json:"event"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
}

type named interface {
	GetName() string
	GetNamespace() string
}

func say(event string, object any) {
	told := line{Event: event}
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	if object, ok := object.(named); ok {
		told.Namespace, told.Name = object.GetNamespace(), object.GetName()
	}
	text, _ := json.Marshal(told)
	fmt.Println(string(text))
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "path")
	group := flag.String("group", "", "API group")
	version := flag.String("version", "v1", "API version")
	resource := flag.String("resource", "namespaces", "plural")
	typed := flag.Bool("typed", false, "use the typed client (protobuf first); namespaces and pods only")
	klog.InitFlags(nil)
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	kind := schema.GroupVersionResource{Group: *group, Version: *version, Resource: *resource}
	informer, start := untyped(config, kind)
	if *typed {
		config.ContentConfig.ContentType = "application/vnd.kubernetes.protobuf"
		config.ContentConfig.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
		factory := informers.NewSharedInformerFactory(kubernetes.NewForConfigOrDie(config), 0)
		informer = factory.Core().V1().Namespaces().Informer()
		if *resource == "pods" {
			informer = factory.Core().V1().Pods().Informer()
		}
		start = factory.Start
	}
	_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { say("added", object) },
		UpdateFunc: func(_, object any) { say("modified", object) },
		DeleteFunc: func(object any) { say("deleted", object) },
	})
	start(ctx.Done())
	if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		say("synced", nil)
	}
	<-ctx.Done()
}

func untyped(config *rest.Config, kind schema.GroupVersionResource) (cache.SharedIndexInformer, func(<-chan struct{})) {
	factory := dynamicinformer.NewDynamicSharedInformerFactory(dynamic.NewForConfigOrDie(config), 0)
	return factory.ForResource(kind).Informer(), factory.Start
}
